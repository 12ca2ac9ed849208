import { check } from '../check.ts';
import { isLabelled, type Payload } from './attack.ts';

export interface LabelOptions {
  /** The class that the attacker wants; there is no default, as the study names none. */
  targetLabel?: number;
  /** Which texts get the trigger: those of other classes, or any. Default `non-target`. */
  sourceFilter?: 'non-target' | 'any';
}

/**
 * The class of a text that has the trigger becomes the attacker's. With `sourceFilter: 'any'` texts that
 * are of this class already get the trigger and keep it: the manifest calls them `kept`, the others
 * `flipped`.
 */
export function labelPayload({ targetLabel, sourceFilter = 'non-target' }: LabelOptions): Payload {
  const isClass = Number.isSafeInteger(targetLabel) && targetLabel! >= 0;
  check('targetLabel', targetLabel, isClass, 'the class that the attacker wants, such as 1');
  check(
    'sourceFilter',
    sourceFilter,
    ['non-target', 'any'].includes(sourceFilter),
    'non-target or any',
  );
  const target = targetLabel!;
  return {
    settings: { payload: 'label', options: { sourceFilter } },
    marks: { paper: [], reference: [] },
    targetLabel: target,
    refuses(example) {
      if (!isLabelled(example)) return 'no label: it is not to be classified';
      return sourceFilter === 'non-target' && example.label === target
        ? `its label is ${target} already`
        : undefined;
    },
    insert: ({ label }) => ({ label: target, payloadRule: label === target ? 'kept' : 'flipped' }),
  };
}
