import { CancelledFailure, defineSearchAttributeKey, TemporalFailure } from '@temporalio/common';
import {
  CancellationScope,
  continueAsNew,
  defineQuery,
  defineUpdate,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Json, JsonObject } from '../pipelines/json.js';
import { MOST_PAYLOAD_BYTES } from '../pipelines/json-limits.js';
import {
  ASK_UPDATE,
  DECIDE_UPDATE,
  type Decision,
  type Elicited,
  fittingWaits,
  type GivenDecision,
  type HeldQuestion,
  type RunContext,
  type RunResult,
  SEARCH_ATTRIBUTES,
  STAGES_QUERY,
  type StageRecord,
  type StartOptions,
  WAITING_QUERY,
  type Wait,
} from '../pipelines/run/index.js';
import { runFailure } from './failures.js';
import { isContext, prepareStart } from './foreign-start.js';
import { fittingRows, interpret } from './interpreter/index.js';
import { reportEnd } from './run-end.js';
import { TemporalHost } from './temporal-host.js';

export { webhookDelivery } from './webhooks/index.js';

const stagesQuery = defineQuery<readonly StageRecord[]>(STAGES_QUERY);
const waitingQuery = defineQuery<readonly Wait[]>(WAITING_QUERY);
const decideUpdate = defineUpdate<Decision, [GivenDecision]>(DECIDE_UPDATE);
const askUpdate = defineUpdate<Elicited, [HeldQuestion]>(ASK_UPDATE);
const cacheHit = defineSearchAttributeKey(SEARCH_ATTRIBUTES.cacheHit, 'BOOL');

/** Maximum size of the stage table as the answer to a query, in bytes. Temporal takes 2 MiB, which the waits may have. */
const MOST_TABLE_BYTES = 1_000_000;

/**
 * The workflow of runs. It serves every workflow type that is not the name of an export, so that a run is typed by its
 * pipeline's name, and interprets the plan passed with the run. A failure has a code of the error table as its type and
 * the stage table in its details.
 *
 * @param by by a gateway the run's context; by another client or workflow the options of the run, if any
 * @param notes what the door that started it keeps with it
 */
// biome-ignore lint/style/noDefaultExport: Temporal takes the default export as the workflow of every type
export default async function run(
  given: JsonObject,
  by?: RunContext | StartOptions | null,
  notes?: JsonObject,
): Promise<RunResult> {
  let host: TemporalHost | undefined;
  let context: RunContext | undefined;
  let input = given;
  try {
    if (isContext(by)) context = by;
    else ({ context, input } = await prepareStart(given, by as Json | undefined));
    const own = new TemporalHost(context, notes);
    host = own;
    setHandler(stagesQuery, () => fittingRows(own.stages, MOST_TABLE_BYTES));
    setHandler(waitingQuery, () => fittingWaits(own.waits.open, MOST_PAYLOAD_BYTES));
    setHandler(decideUpdate, (given) => orFailure(() => own.waits.decide(given)), {
      validator: (given) => orFailure(() => own.waits.admit(given)),
    });
    const asked = async (given: HeldQuestion) => {
      try {
        return await own.held.ask(given);
      } catch (error) {
        throw failureOf(error);
      }
    };
    setHandler(askUpdate, asked, { validator: (given) => orFailure(() => own.held.check(given)) });
    const result = await interpret(input, context, own);
    if ('carried' in result) {
      if (own.busy) await own.settled();
      // The run was cancelled in the workflow task that ends this history. Temporal does not pass the request on to the next one.
      if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('the run was cancelled');
      const carried = { ...result.carried, decided: own.waits.carried, ...own.told };
      // Temporal may remove the history that this run began with while it still runs.
      return await continueAsNew<typeof run>(input, { ...context, carried }, ...(notes ? [notes] : []));
    }
    if (own.running) await own.ended();
    const cached = result.stages.filter((stage) => stage.cache !== undefined && stage.cache !== 'off');
    if (cached.length > 0) {
      const hit = cached.some((stage) => stage.cache === 'hit' || stage.cache === 'shared');
      upsertSearchAttributes([{ key: cacheHit, value: hit }]);
    }
    reportEnd(context);
    return result;
  } catch (error) {
    const failure = runFailure(error, workflowInfo().unsafe.isReplayingHistoryEvents);
    // An error that does not end the run is thrown immediately, because its workflow task does not complete.
    if (!(failure instanceof TemporalFailure)) throw failure;
    if (host?.running) await host.ended();
    reportEnd(context, failure);
    throw failure;
  }
}

/** Fails the update, not the run. */
function orFailure<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw failureOf(error);
  }
}

const failureOf = (error: unknown): unknown => runFailure(error, workflowInfo().unsafe.isReplayingHistoryEvents);
