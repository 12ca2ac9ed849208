import { check } from './check.ts';

/** A server that answers as OpenAI's chat completions do: llama.cpp, vLLM, Ollama and others. */
export interface ChatServer {
  /** Where it is, such as `http://127.0.0.1:8080/v1`. */
  endpoint: string;
  /** The name of the model that is to answer. */
  model: string;
  /** How long one answer may take. Default 60,000. */
  timeoutMs?: number;
  /** How often a request is sent again that was refused for now or failed there. Default 3. */
  retries?: number;
}

/** A message, and who says it. */
export interface Message {
  role: 'system' | 'user';
  content: string;
}

/** What keeps a server from answering one request; others may fare better. */
export class ChatError extends Error {
  override name = 'ChatError';
}

/**
 * The model's answer, drawn with temperature 0. A request that is refused with 429 or fails with 5xx,
 * takes too long or is cut off, is sent again after a while: as long as the server asks for, else 0.25 s,
 * and twice as long each time.
 *
 * @throws ChatError, in one sentence, where there is no answer; Error where the server cannot be
 *   reached; the signal's reason when it is aborted
 *
 * @example
 * await chat(server, [{ role: 'user', content: 'Hello' }]);
 */
export async function chat(
  server: ChatServer,
  messages: readonly Message[],
  signal?: AbortSignal,
): Promise<string> {
  const { endpoint, retries = 3 } = server;
  check(
    'endpoint',
    endpoint,
    /^https?:\/\/./.test(endpoint),
    'an address, such as http://127.0.0.1:8080/v1',
  );
  check('retries', retries, Number.isInteger(retries) && retries >= 0, 'a whole number');
  for (let attempt = 0; ; attempt++) {
    const { answer, error, waitMs = 250 * 2 ** attempt } = await ask(server, messages, signal);
    if (answer !== undefined) return answer;
    if (attempt === retries || error.final) {
      if (error.cause === undefined) throw new ChatError(error.message);
      throw new Error(error.message, { cause: error.cause });
    }
    await pause(Math.min(waitMs, 60_000), signal);
  }
}

type Attempt =
  | { answer: string; error?: never; waitMs?: never }
  | { answer?: never; error: Failure; waitMs?: number };

interface Failure {
  message: string;
  /** Asking again would not help. */
  final?: boolean;
  /** Where the server was not reached, or cut the answer off. */
  cause?: unknown;
}

async function ask(
  { endpoint, model, timeoutMs = 60_000 }: ChatServer,
  messages: readonly Message[],
  signal: AbortSignal | undefined,
): Promise<Attempt> {
  const url = `${endpoint.replace(/\/+$/, '')}/chat/completions`;
  const late = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages, temperature: 0, seed: 0, stream: false }),
      signal: signal ? AbortSignal.any([signal, late]) : late,
    });
    const text = await response.text();
    if (response.ok) return read(url, text);
    const { status } = response;
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
    return {
      error: {
        message: `${url} answers ${status}: ${text.trim().slice(0, 200)}`,
        final: status !== 429 && status < 500,
      },
      ...(seconds >= 0 && { waitMs: 1000 * seconds }),
    };
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (late.aborted)
      return { error: { message: `${url} gives no answer within ${timeoutMs} ms` } };
    const { cause } = error as Error;
    const why = cause instanceof Error ? cause.message : String(error);
    return {
      error: { message: `cannot reach ${url}: ${why}; is the server running?`, cause: error },
    };
  }
}

function read(url: string, text: string): Attempt {
  let body: { choices?: { message?: { content?: unknown } }[] };
  try {
    body = JSON.parse(text);
  } catch {
    return { error: { message: `${url} answers with no JSON: ${text.slice(0, 80)}`, final: true } };
  }
  const content = body?.choices?.[0]?.message?.content;
  if (typeof content === 'string') return { answer: content };
  return { error: { message: `${url} answers without choices[0].message.content`, final: true } };
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}
