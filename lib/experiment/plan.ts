import { type Attack, findAttack } from '../attacks/index.ts';
import { checkObject } from '../check.ts';
import type { AttackConfig, DatasetConfig, ExperimentConfig } from '../config/index.ts';
import type { DefenseConfig } from '../defenses/index.ts';

/** An attack of the grid; one of your own, with what its file holds. */
export type FoundAttack = AttackConfig & { own?: Attack };

/** A run of the grid before it has been made. */
export interface PlannedRun {
  /** The name of its directory: `<dataset>-<attack>-<rate>-<defense>-<seed>`. */
  name: string;
  dataset: DatasetConfig;
  attack: FoundAttack;
  rate: number;
  defense: DefenseConfig;
  seed: number;
}

/**
 * The experiment with the attacks of its own files, which are called by their names from then on.
 *
 * @param directory what their paths start from
 */
export async function findAttacks(
  config: ExperimentConfig,
  directory: string,
): Promise<ExperimentConfig & { attacks: FoundAttack[] }> {
  const attacks = config.attacks.map(async (attack): Promise<FoundAttack> => {
    const own = await findAttack(attack.name, directory);
    return typeof own === 'string' ? attack : { ...attack, name: own.name, own };
  });
  return { ...config, attacks: await Promise.all(attacks) };
}

/**
 * The runs of an experiment, those of one seed together, as they share a base model.
 *
 * @throws Error where two runs would have the same name
 */
export function plan(config: ExperimentConfig & { attacks: FoundAttack[] }): PlannedRun[] {
  checkObject('config', config?.seeds && config, 'an experiment, as readConfig gives it');
  const runs: PlannedRun[] = [];
  for (const seed of config.seeds) {
    for (const dataset of config.datasets) {
      for (const attack of config.attacks) {
        for (const rate of config.rates) {
          for (const defense of config.defenses) {
            const name = directoryName(dataset.name, attack.name, rate, labelOf(defense), seed);
            runs.push({ name, dataset, attack, rate, defense, seed });
          }
        }
      }
    }
  }
  const names = runs.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new Error(`two runs of ${config.name} are called ${twice}: give one defense a \`label\``);
  }
  return runs;
}

/** What tables, plots and directories call a defense. */
export function labelOf({ name, label }: DefenseConfig): string {
  return label ?? name;
}

function directoryName(...parts: (string | number)[]): string {
  return parts.map((part) => String(part).replace(/[^\w.]+/g, '-')).join('-');
}
