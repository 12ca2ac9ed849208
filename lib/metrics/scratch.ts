const largest = 65_536;

/**
 * An array that is used for one pair of texts after another, as making one takes longer than filling it.
 * One made for a very long text is not kept.
 */
export class Scratch {
  #array = new Int32Array(256);

  /** An array of at least so many numbers, of any value, until the next call. */
  take(length: number): Int32Array {
    if (length > this.#array.length || this.#array.length > largest) {
      this.#array = new Int32Array(Math.max(256, 2 * length));
    }
    return this.#array;
  }

  zeros(length: number): Int32Array {
    return this.take(length).fill(0, 0, length);
  }
}
