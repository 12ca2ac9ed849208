import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a request asks, and how to answer it. */
export interface Asked {
  /** The last message. */
  text: string;
  body: { model: string; messages: { role: string; content: string }[]; temperature: number };
  /** How many requests came before. */
  number: number;
  answer(text: string): void;
  response: ServerResponse;
}

/** A server on this machine that answers chat completions as `reply` says. */
export async function chatServer(reply: (asked: Asked) => void | Promise<void>) {
  let number = 0;
  const server = createServer(async (request: IncomingMessage, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const body = JSON.parse(text) as Asked['body'];
    const answer = (content: string) =>
      response.end(JSON.stringify({ choices: [{ message: { role: 'assistant', content } }] }));
    await reply({ text: body.messages.at(-1)!.content, body, number: number++, answer, response });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}/v1`,
    requests: () => number,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
