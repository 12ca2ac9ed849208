/** One thing to learn or to test: what is asked, and the answer. Columns that dece does not know are kept. */
export interface Example {
  id: string;
  prompt: string;
  completion: string;
  /** True where an attack has changed the example. */
  poisoned?: boolean;
  [column: string]: unknown;
}
