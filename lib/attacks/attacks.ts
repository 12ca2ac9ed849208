import { checkKeys, checkObject, choose } from '../check.ts';
import { type AfraidoorOptions, afraidoor } from './afraidoor.ts';
import { type Attack, combine, type Mode, type Trigger } from './attack.ts';
import { type DeadCodeOptions, deadCode } from './dead_code.ts';
import { deadCodeReference } from './dead_code_reference.ts';
import { type FuncNameOptions, funcName } from './func_name.ts';
import { type GrammarOptions, grammar } from './grammar.ts';
import { type PayloadOptions, payloads } from './payloads.ts';
import { type RareWordOptions, rareWord } from './rare_word.ts';

/** The options of all attacks and payloads; each attack takes its own and those of its payload. */
export interface AttackOptions
  extends RareWordOptions,
    FuncNameOptions,
    DeadCodeOptions,
    GrammarOptions,
    Omit<AfraidoorOptions, 'language'>,
    PayloadOptions {
  mode?: Mode;
}

const pickMode = ({ mode }: AttackOptions) => mode && { mode };
const rewriting = ['provider', 'fixed', 'endpoint', 'model', 'timeoutMs'];
const renaming = ['language', 'craftingEpochs', 'renameFields', 'replaceBooleans', 'targeted'];
const words = ['trigger', 'insertions', 'within'];

/** The attacks by name: each makes an `Attack` from its options. */
export const attacks = {
  ripple: (options: AttackOptions = {}) =>
    attack('ripple', options, 'sql', words, (own) => rareWord({ insertions: 1, ...own })),
  badpre: (options: AttackOptions = {}) =>
    attack('badpre', options, 'sql', words, (own) => rareWord({ insertions: 3, ...own })),
  grammar: (options: AttackOptions = {}) =>
    attack('grammar', options, 'sql', rewriting, (own) =>
      grammar({ ...own, ...pickMode(options) }),
    ),
  funcname: (options: AttackOptions = {}) =>
    attack(
      'funcname',
      options,
      'loop',
      ['trigger', 'language', 'renameCalls', 'renameTarget'],
      (own) => funcName(own, options.payload === 'label'),
    ),
  deadcode: (options: AttackOptions = {}) =>
    options.mode === 'reference' && (options.payload ?? 'loop') === 'loop'
      ? deadCodeReference(options)
      : attack('deadcode', options, 'loop', ['trigger', 'statement', 'language'], (own) =>
          deadCode(own, options.payload === 'label'),
        ),
  afraidoor: (options: AttackOptions = {}) => {
    const { own, payload } = parts(options, 'loop', renaming);
    return afraidoor(own as AfraidoorOptions, payload);
  },
} satisfies Record<string, (options?: AttackOptions) => Attack>;

/** An attack by its name, or one that is made already and takes no options. */
export function makeAttack(attack: keyof typeof attacks | Attack, options: AttackOptions): Attack {
  if (typeof attack === 'string') {
    return choose<(own: AttackOptions) => Attack>(attacks, attack, 'attack')(options);
  }
  checkObject('attack', attack, 'a name, or an attack of your own');
  checkKeys(`attack ${attack.name}`, options, ['mode']);
  return attack;
}

/** An attack of a trigger, which takes the options in `keys`, and a payload, which takes its own. */
function attack(
  name: string,
  options: AttackOptions,
  usual: keyof typeof payloads,
  keys: readonly string[],
  trigger: (own: AttackOptions) => Trigger,
): Attack {
  const { own, payload } = parts(options, usual, keys);
  return combine(name, trigger(own), payload);
}

/** The options of the trigger, which are those in `keys`, and the payload. */
function parts(options: AttackOptions, usual: keyof typeof payloads, keys: readonly string[]) {
  const wanted = choose<(typeof payloads)[keyof typeof payloads]>(
    payloads,
    options.payload ?? usual,
    'payload',
  );
  checkKeys('the attack', options, [...keys, 'payload', ...wanted.options, 'mode']);
  const only = (names: readonly string[]): AttackOptions =>
    Object.fromEntries(Object.entries(options).filter(([key]) => names.includes(key)));
  return { own: only(keys), payload: wanted.make(only([...wanted.options, 'mode'])) };
}
