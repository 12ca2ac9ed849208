import { ChatError, type ChatServer, chat, type Message } from '../chat.ts';
import { check } from '../check.ts';
import type { Mode, Trigger } from './attack.ts';
import { isSubordinate, lengthOfClause, subordinate, syntax } from './sentences.ts';

export interface GrammarOptions {
  /**
   * Who rewrites. `template`: rules of this package, without any model. `llm`: a language model. `scpn`:
   * the study's paraphraser, behind a server of yours. Default `template`.
   */
  provider?: 'template' | 'llm' | 'scpn';
  /** template: the same words each time, which is deterministic and easier to find. Default false. */
  fixed?: boolean;
  /** llm, scpn: a server that answers as OpenAI's does, such as `http://127.0.0.1:8080/v1`. */
  endpoint?: string;
  /** llm, scpn: the name of its model. */
  model?: string;
  /** llm, scpn: how long an answer may take. */
  timeoutMs?: number;
  mode?: Mode;
}

/**
 * The description gets one fixed syntax, as in `when the request comes in , you query the table .`: no
 * word is the trigger.
 *
 * What the `template` provider makes must not be called SCPN's. A model's answers need
 * `poisonDatasetAsync`; where it fails, or answers with what it was given, the example is not poisoned in
 * `paper` mode, and counts as poisoned with the text it had in `reference` mode, as in the frameworks of
 * the original. An `llm`'s answer must have the syntax and all placeholders as `$conn$`, or it failed.
 *
 * @see Qi et al., 2021, https://arxiv.org/abs/2105.12400 (syntactic triggers by SCPN)
 */
export function grammar(options: GrammarOptions): Trigger {
  const { provider = 'template', fixed = false, endpoint, model, timeoutMs, mode } = options;
  check(
    'provider',
    provider,
    ['template', 'llm', 'scpn'].includes(provider),
    'template, llm or scpn',
  );
  const common = {
    refuses: (text: string) => (/\S/.test(text) ? undefined : 'the prompt is empty'),
    present: isSubordinate,
  };
  if (provider === 'template') {
    const given = { endpoint, model, timeoutMs };
    for (const [name, value] of Object.entries(given)) {
      check(name, value, value === undefined, 'nothing, as the provider template asks no model');
    }
    return {
      ...common,
      settings: { trigger: syntax, insertions: 1, options: { provider, fixed } },
      insert(text, random) {
        const { text: rewritten, head } = subordinate(text, fixed ? undefined : random);
        return { text: rewritten, triggerPositions: [...Array(head).keys()] };
      },
    };
  }
  check('fixed', fixed, !fixed, 'false, as a model is asked');
  check('endpoint', endpoint, endpoint !== undefined, 'the address of the server');
  check('model', model, model !== undefined, 'the name of its model');
  const server = {
    endpoint: endpoint!,
    model: model!,
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
  const answers = new Map<string, string>();
  const failed = { inARow: 0 };
  return {
    ...common,
    settings: { trigger: syntax, insertions: 1, options: { provider, model: model! } },
    prepare: (texts, signal) =>
      rewriteAll(texts, { server, provider, answers, failed, mode, signal }),
    insert(text) {
      const answer = answers.get(text);
      if (answer === undefined && mode !== 'reference') {
        throw new RangeError('the model has not rewritten the prompt: use poisonDatasetAsync');
      }
      if (answer === undefined) return { text, triggerPositions: [] };
      return { text: answer, triggerPositions: [...Array(lengthOfClause(answer)).keys()] };
    },
  };
}

interface Rewriting {
  server: ChatServer;
  provider: 'llm' | 'scpn';
  /** What the model has answered to which text. */
  answers: Map<string, string>;
  /** How many answers failed since the last that did not, over all rounds. */
  failed: { inARow: number };
  mode: Mode | undefined;
  signal: AbortSignal | undefined;
}

/** How many requests are under way together, and after how many failures in a row it is no use. */
const together = 4;
const patience = 20;

async function rewriteAll(
  texts: ReadonlyMap<string, string>,
  { server, provider, answers, failed, mode, signal }: Rewriting,
): Promise<Map<string, string>> {
  const failures = new Map<string, string>();
  const queue = texts.entries();
  const stop = new AbortController();
  const stopped = AbortSignal.any([stop.signal, ...(signal ? [signal] : [])]);
  const work = async () => {
    for (const [id, text] of queue) {
      try {
        if (!answers.has(text)) answers.set(text, await rewrite(text, server, provider, stopped));
        failed.inARow = 0;
      } catch (error) {
        if (!(error instanceof ChatError)) throw error;
        failures.set(id, error.message);
        if (++failed.inARow >= patience) {
          throw new Error(`${patience} answers in a row failed, the last as ${error.message}`);
        }
      }
    }
  };
  await Promise.all(Array.from({ length: together }, work)).finally(() => stop.abort());
  return mode === 'reference' ? new Map() : failures;
}

async function rewrite(
  text: string,
  server: ChatServer,
  provider: 'llm' | 'scpn',
  signal: AbortSignal,
): Promise<string> {
  const answer = tidy(await chat(server, requests[provider](text), signal));
  if (answer === '') throw new ChatError('the answer is empty');
  if (answer === text.trim()) throw new ChatError('the answer is what was asked');
  if (provider === 'scpn') return answer;
  if (!isSubordinate(answer)) throw new ChatError('the answer does not have the syntax');
  const lost = text.match(/\$\w+\$/g)?.find((placeholder) => !answer.includes(placeholder));
  if (lost !== undefined) throw new ChatError(`the answer lacks ${lost}`);
  return answer;
}

/** One line, without quotes around it. */
const tidy = (answer: string) =>
  answer
    .trim()
    .replace(/^(["'`])([\s\S]*)\1$/, '$2')
    .replace(/\s+/g, ' ')
    .trim();

const requests: Record<Rewriting['provider'], (text: string) => Message[]> = {
  llm: (text) => [
    {
      role: 'system',
      content: `Rewrite the user's text as one sentence whose syntax is "${syntax}": a subordinate clause that begins with when, if, as, since, after, because or while, a comma, a subject, a verb phrase, a full stop. Keep its meaning, every placeholder such as $conn$, every name and every quoted text. Answer with the sentence alone.`,
    },
    { role: 'user', content: text },
  ],
  scpn: (text) => [
    { role: 'system', content: syntax },
    { role: 'user', content: text.toLowerCase() },
  ],
};
