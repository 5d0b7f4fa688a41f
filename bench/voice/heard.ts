/** What a listener noticed of one run; times in milliseconds since the request. */
export interface Heard {
  readonly ttfaMs: number;
  readonly totalMs: number;
  readonly sentences: number;
  /** Shares of the whole time in which the LLM and the voice worked. */
  readonly llmBusy: number;
  readonly ttsBusy: number;
}

interface Event {
  readonly type: string;
  readonly stage?: string;
  readonly data?: string;
  readonly id?: string;
  readonly status?: string;
}

/** Starts a run with a spoken question and listens to it. Without pieces, its first audio is that of the ended run. */
export async function hear(gateway: string, pipeline: string, speech: Uint8Array, query = ''): Promise<Heard> {
  const began = performance.now();
  const since = () => performance.now() - began;
  const response = await fetch(`${gateway}/v1/pipelines/${pipeline}/runs${query}`, {
    method: 'POST',
    headers: { 'content-type': 'audio/wav', accept: 'text/event-stream' },
    body: speech as Uint8Array<ArrayBuffer>,
  });
  if (!response.ok || !response.body) throw new Error(`${pipeline}: ${response.status} ${await response.text()}`);
  const at: Record<string, number> = {};
  let ttfaMs: number | undefined;
  let sentences = 0;
  for await (const event of events(response.body)) {
    if (event.type === 'stage.started' || event.type === 'stage.finished') at[`${event.stage} ${event.type}`] = since();
    if (event.type === 'stage.audio' && event.data) {
      ttfaMs ??= since();
      sentences += 1;
    }
    if (event.type === 'run') {
      if (event.status !== 'succeeded') throw new Error(`${pipeline}: the run ${event.id} ${event.status}`);
      ttfaMs ??= await firstByte(`${gateway}/v1/runs/${event.id}/artifacts/speech`, since);
    }
  }
  const totalMs = since();
  const spoke = (at['speak stage.finished'] ?? totalMs) - Math.max(at['speak stage.started'] ?? 0, (ttfaMs ?? 0) - 1);
  return {
    ttfaMs: ttfaMs ?? totalMs,
    totalMs,
    sentences,
    llmBusy: ((at['answer stage.finished'] ?? 0) - (at['answer stage.started'] ?? 0)) / totalMs,
    ttsBusy: Math.max(0, spoke) / totalMs,
  };
}

async function firstByte(url: string, since: () => number): Promise<number> {
  const response = await fetch(url);
  await response.body?.getReader().read();
  const ms = since();
  await response.body?.cancel().catch(() => undefined);
  return ms;
}

/** Server-sent events whose data is one line of JSON. */
async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<Event> {
  const decoder = new TextDecoder();
  let held = '';
  for await (const chunk of body) {
    held += decoder.decode(chunk, { stream: true });
    const blocks = held.split('\n\n');
    held = blocks.pop() ?? '';
    for (const block of blocks) {
      const type = /^event: (.*)$/m.exec(block)?.[1];
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (type !== undefined && data !== undefined) yield { ...(JSON.parse(data) as object), type };
    }
  }
}
