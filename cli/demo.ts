import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { MillraceClient, type RunDocument } from '../client/index.js';
import { down, status, up } from '../deploy/local/stack/index.js';
import { RECIPE } from '../deploy/local/stack/paths.js';
import { voiceAssistant } from '../pipelines/catalog/index.js';
import { MillraceError } from '../pipelines/errors.js';
import type { StageRecord } from '../pipelines/run/index.js';
import { gatewayUrl } from '../workers/endpoints.js';
import type { Settings } from '../workers/settings.js';
import { bold, dim, EXIT, green, note, printJson, show } from './output.js';
import { fileOf, readable } from './run-input.js';
import { changes, saveMedia, stageTable, watch } from './run-view.js';
import { ALL_PARTS, progressLine } from './stack.js';
import { requireValid } from './validate.js';

interface DemoOptions {
  readonly audio?: string;
  readonly keep?: boolean;
  readonly json?: boolean;
}

const shipped = (name: string) => path.join(RECIPE, 'audio', name);

/** `millrace demo`: runs a pipeline on real servers on this machine, twice. */
export async function demo(settings: Settings, options: DemoOptions): Promise<void> {
  await requireValid(settings);
  const question = options.audio === undefined ? shipped('question.wav') : await readable(options.audio, '--audio');
  // There is no rewording of a user's own question, so the same file is sent again.
  const again = options.audio === undefined ? shipped('question-reworded.wav') : question;
  const keep = options.keep === true || status(settings).up;
  const stop = async () => {
    if (keep) return;
    note(dim('\nStopping everything'));
    await down(settings);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void stop().finally(() => process.exit(EXIT.failed)));
  }
  try {
    note(bold('Starting Temporal, Redis, Triton, an LLM server, a worker and the gateway'));
    await up({ settings, parts: ALL_PARTS, onProgress: (progress) => note(progressLine(progress)) });
    // A separate tenant: an answer cached by an earlier demo would make the first question a hit.
    const client = new MillraceClient({ baseUrl: gatewayUrl(settings), tenant: `demo-${Date.now()}` });
    const folder = path.join(settings.MILLRACE_HOME, 'demo');
    await mkdir(folder, { recursive: true });

    note(bold(`\nAsking ${path.relative(process.cwd(), question)}`));
    const first = await ask(client, question);
    const { speech = '' } = await saveMedia(client, first, folder);
    showRun(first, speech);

    note(bold(options.audio === undefined ? '\nAsking the same in other words' : '\nAsking the same again'));
    const second = await ask(client, again);
    showRun(second, (await saveMedia(client, second, folder)).speech ?? '');
    const { cache = 'off' } = answerOf(second);
    show(
      cache === 'hit'
        ? green('The answer came from the semantic cache: the LLM was not called.')
        : `The semantic cache did not match the two questions (${cache}), so the LLM was called.`,
    );
    if (keep) note(`\nThe stack is still running. Temporal UI: ${first.links.ui}\nStop it with: npx millrace down`);
    if (options.json) {
      printJson({
        transcript: first.output?.transcript,
        reply: first.output?.reply,
        replyWav: speech,
        stages: rows(first),
        second: { transcript: second.output?.transcript, reply: second.output?.reply, cache, stages: rows(second) },
        runUrl: first.links.ui,
      });
    }
  } finally {
    await stop();
  }
}

async function ask(client: MillraceClient, audio: string): Promise<RunDocument> {
  const speech = await fileOf(audio, '--audio');
  const began = performance.now();
  const { id } = await client.start(voiceAssistant, { speech });
  const first = firstAudio(client, id, began);
  const news = changes();
  const run = await watch(client, id, ({ stages = [] }) => {
    for (const line of news(stages)) note(`  ${line}`);
  });
  const firstMs = await first;
  if (firstMs !== undefined)
    show(`first audio after ${firstMs} ms, the whole after ${Math.round(performance.now() - began)} ms`);
  if (run.status === 'succeeded') return run;
  throw new MillraceError(
    'RUN_FAILED',
    `run ${id} ${run.status}: ${run.error?.code ?? ''} ${run.error?.message ?? ''}`,
  );
}

/** When the first sentence could be heard, in milliseconds; undefined if none was spoken piece by piece. */
async function firstAudio(client: MillraceClient, id: string, began: number): Promise<number | undefined> {
  try {
    for await (const event of client.events(id))
      if (event.type === 'stage.audio') return Math.round(performance.now() - began);
  } catch {
    // The demo goes on without the figure.
  }
  return undefined;
}

function showRun(run: RunDocument, wav: string): void {
  show(`\n${stageTable(run.stages ?? [])}\n`);
  show(`${bold('transcript')}   ${String(run.output?.transcript)}`);
  show(`${bold('reply')}        ${String(run.output?.reply)}`);
  show(`${bold('reply WAV')}    ${wav}`);
  show(`${bold('Temporal UI')}  ${run.links.ui}\n`);
}

const answerOf = (run: RunDocument): Partial<StageRecord> => run.stages?.find(({ stage }) => stage === 'answer') ?? {};

const rows = (run: RunDocument) =>
  run.stages?.map(({ stage, connector, model, device, endpoint, attempt, cache, queueMs, runMs }) => ({
    stage,
    connector,
    model,
    device,
    endpoint,
    attempt,
    cache,
    queueMs,
    runMs,
  }));
