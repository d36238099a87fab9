/** Templates of echoes, and finding them in a signal. */

import { QuiverError } from "../shared/errors.ts";
import { checkOptions, type OptionNames } from "../shared/options.ts";
import { checkTensor, Tensor } from "../tensor/tensor.ts";
import { checkChoice, checkCount, checkFinite, checkPositive } from "./arguments.ts";

/** A linear sweep of frequency. */
export interface ChirpOptions {
  /** Length of the template. */
  readonly samples: number;
  /** Samples a second. */
  readonly sampleRate: number;
  /** In Hz, at the first and at the last sample; in between the frequency changes linearly. */
  readonly startFrequency: number;
  readonly endFrequency: number;
  /** What fades the ends in and out. Default: "hann". */
  readonly window?: "hann" | "rectangular";
}

const CHIRP_OPTIONS: OptionNames<ChirpOptions> = {
  samples: true,
  sampleRate: true,
  startFrequency: true,
  endFrequency: true,
  window: true,
};

/**
 * A windowed linear chirp of unit energy: its squares sum up to 1, so that a matched filter gives an echo's own
 * amplitude. Float64 of shape [samples]. Throws ERR_QUIVER_BAD_VALUE for fewer than four samples, for frequencies
 * beyond half of the sample rate, which would alias, and for a chirp that is zero throughout.
 */
export function chirp(options: ChirpOptions): Tensor<Float64Array> {
  checkOptions(options, CHIRP_OPTIONS);
  const { samples, sampleRate, startFrequency, endFrequency, window = "hann" } = options;
  checkCount("samples", samples, 4);
  checkPositive("sampleRate", sampleRate);
  checkChoice("window", window, ["hann", "rectangular"]);
  for (const [name, frequency] of Object.entries({ startFrequency, endFrequency })) {
    checkFinite(name, frequency);
    if (frequency < 0 || frequency > sampleRate / 2) {
      throw new QuiverError("ERR_QUIVER_BAD_VALUE", `${name} = ${frequency} Hz can't be sampled`, {
        hint: `At ${sampleRate} samples a second, frequencies from 0 to ${sampleRate / 2} Hz can be told apart.`,
        fix: "Lower the frequency, or raise the sample rate.",
      });
    }
  }
  const duration = (samples - 1) / sampleRate;
  const rate = (endFrequency - startFrequency) / duration;
  const values = Float64Array.from({ length: samples }, (_, sample) => {
    const time = sample / sampleRate;
    const fade = window === "hann" ? Math.sin((Math.PI * sample) / (samples - 1)) ** 2 : 1;
    return fade * Math.sin(2 * Math.PI * (startFrequency + (rate * time) / 2) * time);
  });
  const energy = values.reduce((sum, value) => sum + value * value, 0);
  checkPositive("the energy of the chirp", energy);
  const scale = 1 / Math.sqrt(energy);
  return new Tensor(values.map((value) => value * scale));
}

/**
 * The correlation of a signal with a template at each lag at which the template lies within the signal:
 * shape [signal - template + 1]. Against white noise no linear filter finds a known shape better. Costs the product
 * of both lengths, blocking. Throws ERR_QUIVER_BAD_VALUE for a signal shorter than the template.
 */
export function matchedFilter(
  signal: Tensor<Float64Array>,
  template: Tensor<Float64Array>,
): Tensor<Float64Array> {
  checkTensor("signal", signal);
  checkTensor("template", template);
  const samples = signal.data;
  const shape = template.data;
  checkCount("the length of the template", shape.length, 1);
  checkCount("the length of the signal", samples.length, shape.length);
  const scores = new Float64Array(samples.length - shape.length + 1);
  for (let lag = 0; lag < scores.length; lag++) {
    let sum = 0;
    for (let i = 0; i < shape.length; i++) sum += (samples[lag + i] as number) * (shape[i] as number);
    scores[lag] = sum;
  }
  return new Tensor(scores);
}

/** Where a template was found. */
export interface Echo {
  /** Samples from the signal's start to the template's. */
  readonly lag: number;
  /** Factor of the template in the signal, for a template of unit energy; negative where it is inverted. */
  readonly amplitude: number;
}

/** The strongest echo of the template, by the absolute value of its matched filter; the first of equals. Costs as `matchedFilter`. */
export function findEcho(signal: Tensor<Float64Array>, template: Tensor<Float64Array>): Echo {
  const scores = matchedFilter(signal, template).data;
  let lag = 0;
  for (let i = 1; i < scores.length; i++) {
    if (Math.abs(scores[i] as number) > Math.abs(scores[lag] as number)) lag = i;
  }
  return { lag, amplitude: scores[lag] as number };
}
