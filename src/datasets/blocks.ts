/** Where the values of a column lie: blocks of rows, each in one batch of one file. */

/** Numbers of one block, as the add-on lists them. */
const NUMBERS = 12;

export type BlockForm = "dense" | "ragged" | "text" | "other";

const FORMS: readonly BlockForm[] = ["dense", "ragged", "text", "other"];

/** Positions are bytes of the file. */
export interface Block {
  readonly file: number;
  /** Number of its first row in the dataset. */
  readonly first: number;
  readonly rows: number;
  readonly form: BlockForm;
  readonly start: number;
  readonly byteLength: number;
  /** Of bools: the bit at which the first one is. */
  readonly firstBit: number;
  /** Where the offsets of ragged rows and texts lie. */
  readonly offsets: number;
  /** Bytes of one offset: 4 or 8; 0 when there are none. */
  readonly offsetWidth: number;
  /** Where a bit a row says that it is not null; -1 when no row is. */
  readonly validity: number;
  readonly nulls: number;
  /** Size of each row along its first axis, of dense blocks. */
  readonly items: number;
}

export function blocksOf(numbers: Float64Array): readonly Block[] {
  return Array.from({ length: numbers.length / NUMBERS }, (_, index) => {
    const at = (field: number): number => numbers[index * NUMBERS + field] as number;
    return {
      file: at(0),
      first: at(1),
      rows: at(2),
      form: FORMS[at(3)] ?? "other",
      start: at(4),
      byteLength: at(5),
      firstBit: at(6),
      offsets: at(7),
      offsetWidth: at(8),
      validity: at(9),
      nulls: at(10),
      items: at(11),
    };
  });
}

/** Number of the block that holds a row, which must be one of the column's. */
export function blockOf(blocks: readonly Block[], row: number): number {
  let low = 0;
  let high = blocks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((blocks[middle] as Block).first <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}
