import { request } from 'node:http';

/** Times of one completion at its client, in milliseconds from the request's start, connection included. */
export interface Taken {
  readonly ttftMs: number;
  readonly totalMs: number;
}

/** Far above any answer. */
const LIMIT_MS = 60_000;
/** Few tokens: the bench compares the overhead before the server, whose own time is in every figure. */
const MOST_TOKENS = 12;

const FIELDS = {
  messages: [
    { role: 'system', content: 'Answer in one short sentence.' },
    { role: 'user', content: 'What is the capital of France?' },
  ],
  temperature: 0,
  max_tokens: MOST_TOKENS,
  stream: true,
};

/** A streamed chat completion over a new connection. Rejects unless the answer is complete and has text. */
export function complete(base: string, model: string): Promise<Taken> {
  const body = JSON.stringify({ model, ...FIELDS });
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const options = { method: 'POST', headers, agent: false, timeout: LIMIT_MS } as const;
    const sent = request(`${base}/chat/completions`, options, (answer) => {
      let text = '';
      let ttftMs: number | undefined;
      answer.setEncoding('utf8');
      answer.on('data', (piece: string) => {
        text += piece;
        // Some servers' first chunk has the role and an empty text.
        if (/"content":\s*"[^"]/.test(text)) ttftMs ??= performance.now() - began;
      });
      answer.on('error', reject);
      answer.on('end', () => {
        const totalMs = performance.now() - began;
        if (answer.statusCode === 200 && ttftMs !== undefined && text.includes('[DONE]')) resolve({ ttftMs, totalMs });
        else reject(new Error(`${base} answers ${answer.statusCode}: ${text.slice(0, 500)}`));
      });
    });
    sent.on('error', reject);
    sent.on('timeout', () => sent.destroy(new Error(`${base} gives no answer`)));
    sent.end(body);
  });
}
