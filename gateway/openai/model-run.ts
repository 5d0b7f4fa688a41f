import type { FastifyReply, FastifyRequest } from 'fastify';
import { isJsonObject } from '../../pipelines/json.js';
import { followAttended, runAttended } from '../../runs/attended.js';
import type { RunDocument } from '../../runs/document.js';
import type { Followed } from '../../runs/follow.js';
import type { Order } from '../../runs/launch.js';
import type { StartedRun } from '../../runs/start.js';
import type { GatewayDeps } from '../deps.js';
import { leaving } from '../http/leaving.js';
import type { Model } from './models.js';
import { ToldText } from './told-text.js';

interface Exchange {
  readonly deps: GatewayDeps;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/**
 * Runs a pipeline and waits for its end. Throws the run's error. A client that leaves ends the run, for it has no other way
 * to its result; one that has given an idempotency key means to come back.
 */
export async function runToEnd({ deps, request, reply }: Exchange, order: Order): Promise<RunDocument> {
  const started = (run: StartedRun) => note(request, reply, run);
  return await runAttended(deps, interactive(order), { gone: leaving(reply), started });
}

/** Somebody waits for every answer of this door, and its protocol has no word for how urgent it is. */
const interactive = (order: Order): Order => ({ ...order, options: { priority: 'interactive', ...order.options } });

/** More of an answer's text, or the run that has ended well. */
export type Piece = { readonly text: string } | { readonly document: RunDocument };

export interface StreamedRun {
  readonly run: StartedRun;
  readonly pieces: AsyncGenerator<Piece>;
}

/** The same with the answer's text as it comes. Whoever stops taking pieces before the document ends the run. */
export async function runStreamed(
  { deps, request, reply }: Exchange,
  order: Order,
  model: Model,
): Promise<StreamedRun> {
  const started = (run: StartedRun) => note(request, reply, run);
  const { run, events } = await followAttended(deps, interactive(order), { gone: leaving(reply), started });
  return { run, pieces: piecesOf(events, model) };
}

async function* piecesOf(events: AsyncGenerator<Followed>, { face, textStages }: Model): AsyncGenerator<Piece> {
  const told = new ToldText();
  for await (const each of events) {
    if ('document' in each) {
      const { document } = each;
      const text = document.output?.[face.output];
      const rest = told.end(typeof text === 'string' ? text : '');
      if (rest !== '') yield { text: rest };
      yield { document };
      return;
    }
    const { event } = each;
    if (event.type === 'events.lost' || !textStages.has(event.stage)) continue;
    if (event.type === 'stage.started') told.begin();
    if (event.type !== 'stage.delta') continue;
    const text = told.add(event.text);
    if (text !== '') yield { text };
  }
}

function note(request: FastifyRequest, reply: FastifyReply, { id, replayed }: StartedRun): void {
  request.notes.runId = id;
  reply.header('millrace-run', id);
  if (replayed) reply.header('idempotency-replayed', 'true');
}

/** Tokens of all model calls of a run; undefined where no server has told. */
export function usageOf({ stages = [] }: RunDocument): { input: number; output: number } | undefined {
  const told = stages.flatMap(({ usage }) => (isJsonObject(usage) ? [usage] : []));
  if (told.length === 0) return undefined;
  const sum = (key: 'inputTokens' | 'outputTokens') => told.reduce((total, usage) => total + (usage[key] ?? 0), 0);
  return { input: sum('inputTokens'), output: sum('outputTokens') };
}
