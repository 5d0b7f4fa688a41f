import { isJsonObject } from '../pipelines/json.js';
import { isStage, type Plan } from '../pipelines/plan/index.js';
import type { ChannelName } from '../stores/channels/index.js';
import type { RunDeps } from './deps.js';
import { describeRun } from './described-run.js';
import { argumentsOf } from './read.js';

/**
 * The channel of the audio in a field of a run's output, if a stage speaks a stream: it can be heard before the run
 * ends. Undefined for any other field.
 */
export async function liveAudioOf(
  { temporal }: Pick<RunDeps, 'temporal'>,
  id: string,
  field: string,
): Promise<ChannelName | undefined> {
  const { runId } = await describeRun(temporal, id);
  const [, context] = await argumentsOf(temporal, id, runId, 2);
  const plan = isJsonObject(context) ? (context.plan as unknown as Plan | undefined) : undefined;
  const output = isJsonObject(plan?.output) ? plan.output : {};
  const source = Object.hasOwn(output, field) ? output[field] : undefined;
  const path = isJsonObject(source) && typeof source.$ref === 'string' ? source.$ref : '';
  const [stage = '', ...fields] = path.split('.');
  const step = plan?.stages.find((each) => each.id === stage);
  const speaks = step && isStage(step) && step.kind === 'synthesize' && step.streams !== undefined;
  return speaks && fields.join('.') === 'audio' ? { run: id, path: stage, of: 'chunks' } : undefined;
}
