import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { readPassages } from '../../cli/passage-file.js';
import { embedModel, ingest, moderatedChat, ragAnswer } from '../../pipelines/catalog/index.js';
import type { Passage, Pipeline, ScoredPassage } from '../../pipelines/index.js';
import type { RunDocument } from '../../runs/document.js';
import { decideOver } from '../support/deciding.js';
import { address, until } from '../support/runs.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';

const PIPELINES = [ingest, ragAnswer, embedModel, moderatedChat];
const PASSAGES = fileURLToPath(new URL('../../deploy/local/docs.jsonl', import.meta.url));

/** Each is answered by a passage of `deploy/local/docs.jsonl`. */
const QUESTIONS = [
  'Which command checks my settings and servers?',
  'What happens when a model is ready but every call of it fails?',
  'How does a stage wait for a person?',
  'Where is audio kept, and what do runs pass?',
  'Which ports do the embedded servers listen on?',
  'Why is the project named after a mill?',
];

const TEXTS = [
  'What is the capital of France?',
  'ok',
  'Größe, façade, 東京 and 🙂 in one line',
  'An index belongs to the embedder that made it.\nA second line.',
  // More than the 256 tokens that the model reads.
  'The quick brown fox jumps over the lazy dog. '.repeat(60),
];

const SAFE = 'What is the capital of France?';
/** Its parts are judged apart. */
const ALSO_SAFE = 'How do I kill a process in Linux? My printer does not connect to the network.';
const UNSAFE = 'I will kill you tonight.';

/** What pipelines of the catalogue make of the same inputs. */
export interface Outcome {
  readonly answers: readonly { readonly answer: string; readonly passages: readonly ScoredPassage[] }[];
  readonly vectors: readonly (readonly number[])[];
  readonly moderated: readonly object[];
  /** Versions of the pipelines’ plans. */
  readonly versions: Readonly<Record<string, string>>;
  /** Who served each stage whose model moves, and how each of these stages ended. */
  readonly servedBy: ReadonlySet<string>;
  /** Why another tenant’s passages, which another embedder has indexed, were not searched. */
  readonly otherIndex: string | undefined;
}

/**
 * @param models the models file of the worker
 * @param tenant has no passages yet
 * @param other a tenant that has
 */
export async function outcomeOf(models: string, tenant: string, other?: string): Promise<Outcome> {
  const served = await servePipelines(PIPELINES as unknown as Pipeline<never>[], { more: { MILLRACE_MODELS: models } });
  const runs: RunDocument[] = [];
  const headers = { 'millrace-tenant': tenant };
  const run = async (pipeline: string, input: object) => {
    const ended = await served.run(pipeline, input, headers);
    runs.push(ended);
    return ended.output ?? {};
  };
  try {
    await run('ingest', { passages: await passages() });
    const answers: Outcome['answers'][number][] = [];
    for (const question of QUESTIONS) {
      answers.push((await run('rag-answer', { question })) as unknown as Outcome['answers'][number]);
    }
    const { embeddings: vectors } = (await run('embed', { texts: TEXTS })) as unknown as { embeddings: number[][] };
    const moderated: object[] = [];
    for (const message of [SAFE, ALSO_SAFE]) moderated.push(await run('moderated-chat', { message }));
    const refused = await refusedChat(served, UNSAFE);
    runs.push(refused);
    moderated.push(refused.output ?? {});
    const search = { question: QUESTIONS[0] };
    const otherIndex =
      other &&
      (await served.run('rag-answer', search, { 'millrace-tenant': other }).then(
        () => 'it was',
        (error: Error) => error.message,
      ));
    return {
      answers,
      vectors,
      moderated,
      versions: Object.fromEntries(runs.map(({ pipeline, version }) => [pipeline, version])),
      servedBy: new Set(runs.flatMap(servers)),
      otherIndex,
    };
  } finally {
    await served.close();
  }
}

/** Removes the passages of tenants. */
export async function forget(tenants: readonly string[]): Promise<void> {
  const redis = new Redis(address('REDIS_INDEX_URL'));
  for (const tenant of tenants) {
    const keys = await redis.keys(`millrace:index:{${tenant}}:*`);
    if (keys.length > 0) await redis.del(...keys);
  }
  redis.disconnect();
}

export const newTenant = (): string => `t-${randomUUID()}`;

async function passages(): Promise<Passage[]> {
  const all: Passage[] = [];
  for await (const passage of readPassages(PASSAGES)) all.push(passage);
  return all;
}

/** A run of `moderated-chat` whose message a person has refused. */
async function refusedChat(served: ServedPipelines, message: string): Promise<RunDocument> {
  const json = { 'content-type': 'application/json' };
  const started = await served.post('moderated-chat', JSON.stringify({ message }), json);
  const { id } = (await started.json()) as RunDocument;
  await decideOver(`${served.url}/v1/runs/${id}`, 'reject', { path: 'approve', by: 'ada' });
  await until('the run ends', async () => (await served.get(id)).status !== 'running');
  return await served.get(id);
}

/** Stages of models that move, as `minilm: done at http://127.0.0.1:8080`. */
const servers = ({ stages = [] }: RunDocument): string[] =>
  stages.flatMap(({ model, status, endpoint }) =>
    ['minilm', 'rerank', 'moderation'].includes(model) ? [`${model}: ${status} at ${endpoint}`] : [],
  );
