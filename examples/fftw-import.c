/*
 * Reads two entries of a simulation cache from C: imports FFTW wisdom by its file name, plans with nothing but that
 * wisdom, and transforms a kernel that is stored as .npy.
 *
 *   cc fftw-import.c -o fftw-import -lfftw3 -lm
 *   ./fftw-import cache/fftw_wisdom/host_fft_1024.dat kernel.npy
 *
 * The kernel is a 1-D array of float64, little-endian, as this machine is taken to be. Prints its length, its sum,
 * and the first element of its transform, which is that sum too. Wisdom that this FFTW cannot use is a miss, not an
 * error of the cache: plan without it, and store what you learn.
 */
#include <complex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fftw3.h>

/* Leaves the file at the first element; returns the number of elements, 0 for any other kind of file. */
static long read_npy_head(FILE *file)
{
    unsigned char start[10];
    char head[65536], *shape;
    size_t length;

    if (fread(start, 1, 10, file) != 10 || memcmp(start, "\x93NUMPY\x01", 7) != 0) return 0;
    length = start[8] + 256u * start[9];
    if (fread(head, 1, length, file) != length) return 0;
    head[length] = '\0';
    if (!strstr(head, "'descr': '<f8'") || !(shape = strstr(head, "'shape': ("))) return 0;
    return strtol(shape + strlen("'shape': ("), NULL, 10);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s wisdom.dat kernel.npy\n", argv[0]);
        return 2;
    }
    if (!fftw_import_wisdom_from_filename(argv[1])) {
        fprintf(stderr, "%s: no wisdom for this build of FFTW\n", argv[1]);
        return 1;
    }

    FILE *file = fopen(argv[2], "rb");
    long n = file ? read_npy_head(file) : 0;
    double *kernel = n > 0 ? fftw_alloc_real(n) : NULL;
    fftw_complex *spectrum = n > 0 ? fftw_alloc_complex(n / 2 + 1) : NULL;
    if (!kernel || !spectrum) {
        fprintf(stderr, "%s: not a .npy file of float64\n", argv[2]);
        return 1;
    }

    /* Planned before the array is filled, because planning may write to it. NULL: the wisdom has no such plan. */
    fftw_plan plan = fftw_plan_dft_r2c_1d((int)n, kernel, spectrum, FFTW_MEASURE | FFTW_WISDOM_ONLY);
    if (!plan) {
        fprintf(stderr, "%s: the wisdom has no plan for %ld elements\n", argv[1], n);
        return 1;
    }
    if (fread(kernel, sizeof *kernel, n, file) != (size_t)n) {
        fprintf(stderr, "%s: truncated\n", argv[2]);
        return 1;
    }
    fclose(file);

    double sum = 0;
    for (long i = 0; i < n; i++) sum += kernel[i];
    fftw_execute(plan);
    printf("%ld %.17g %.17g\n", n, sum, creal(spectrum[0]));

    fftw_destroy_plan(plan);
    fftw_free(spectrum);
    fftw_free(kernel);
    return 0;
}
