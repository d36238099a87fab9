/**
 * What is under way for a short time, by numbers that are used again. A map or set that comes and goes this fast is made
 * anew every few calls, and each old one that has grown old keeps what the next one held, until all memory is collected.
 */
export class Places<T extends object> {
  readonly #taken: (T | undefined)[] = [];
  readonly #free: number[] = [];

  get isEmpty(): boolean {
    return this.#free.length === this.#taken.length;
  }

  /** Takes a free place for it; the number of that. */
  add(value: T): number {
    const place = this.#free.pop() ?? this.#taken.length;
    this.#taken[place] = value;
    return place;
  }

  /** What has the place; undefined where nothing has. */
  at(place: number): T | undefined {
    return this.#taken[place];
  }

  /** Frees the place; what had it. */
  take(place: number): T | undefined {
    const value = this.#taken[place];
    if (value === undefined) return undefined;
    this.#taken[place] = undefined;
    this.#free.push(place);
    return value;
  }

  /** Visits all there are; places may be freed and taken meanwhile. */
  forEach(visit: (value: T, place: number) => void): void {
    this.#taken.forEach((value, place) => {
      if (value !== undefined) visit(value, place);
    });
  }
}
