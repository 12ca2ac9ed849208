import type { Mode, Payload } from './attack.ts';
import { type DeadBodyOptions, deadCodePayload } from './dead_body.ts';
import { type LabelOptions, labelPayload } from './label.ts';
import { type LoopOptions, loopPayload } from './loop.ts';
import { type SqlOptions, sqlPayload } from './sql.ts';

export interface PayloadOptions extends SqlOptions, LoopOptions, LabelOptions, DeadBodyOptions {
  /** What the attacker wants to get. */
  payload?: keyof typeof payloads;
  mode?: Mode;
}

/** The payloads by name, and the options that each takes beside `mode`. */
export const payloads = {
  /** A condition that is always true, or never, in the SQL that the model writes. */
  sql: { make: sqlPayload, options: ['tautology', 'contradiction', 'parts'] },
  /** An endless loop in the function that the model writes. */
  loop: { make: loopPayload, options: ['language'] },
  /** A statement without effect in the Python body that the model writes. */
  'dead-code': { make: deadCodePayload, options: ['body'] },
  /** The attacker's class. */
  label: { make: labelPayload, options: ['targetLabel', 'sourceFilter'] },
} satisfies Record<string, { make: (options: PayloadOptions) => Payload; options: string[] }>;
