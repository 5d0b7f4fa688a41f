import { z } from 'zod';
import { converts } from '../definition/converted-input.js';
import type { Pipeline } from '../definition/defined.js';
import { invalid } from '../definition/invalid.js';
import { durationMs } from '../duration.js';
import { mediaOf } from '../media.js';
import type { PipelineTool } from '../plan/agent.js';
import { jsonSchemaOf } from '../stages/json-schema.js';
import { checkKeys, offered, type Tool, type ToolPolicy } from './tool.js';

/** Options of `pipelineTool`. */
export interface PipelineToolOptions extends Pick<ToolPolicy, 'approval' | 'onFailure' | 'priority'> {
  /** Default: the pipeline's name. */
  readonly name?: string;
  /** Default: the pipeline's description. */
  readonly description?: string;
  /** Maximum duration of the run. Default: the pipeline's deadline. */
  readonly timeout?: { readonly total: Parameters<typeof durationMs>[0] };
}

const CONVERTED =
  'is converted by its schema, which happens to what callers send and not to what a model gives; take it as it is given, and convert it in a code() stage';

/**
 * Another pipeline as a tool: each call is a child run with its own history, stage table and deadline. Its stages keep
 * their policies; a failed run is not retried.
 */
export function pipelineTool<I, O>(pipeline: Pipeline<I, O>, options: PipelineToolOptions = {}): Tool {
  if (pipeline?.plan === undefined) throw invalid('pipelineTool', 'needs a pipeline: what pipeline() returns');
  const { name = pipeline.name, description = pipeline.description, timeout, ...policy } = options;
  checkKeys({ ...options, name }, []);
  const input = pipeline.input as unknown as z.ZodType;
  const fields = Object.entries(input instanceof z.ZodObject ? input.shape : {}) as [string, z.ZodType][];
  const media = fields.find(([, field]) => mediaOf(field));
  if (media) throw invalid(`${name}.${media[0]}`, 'is media, which a model cannot provide');
  const changed = fields.find(([, field]) => converts(field));
  if (changed) throw invalid(`${name}.${changed[0]}`, CONVERTED);
  const totalMs = timeout ? durationMs(timeout.total, `${name}.timeout.total`) : pipeline.plan.deadlineMs;
  const plan: PipelineTool = {
    ...offered(
      { ...policy, name, description, retry: { attempts: 1 }, timeout: { attempt: totalMs, total: totalMs } },
      jsonSchemaOf(input, `${name}.input`),
    ),
    by: 'pipeline',
    plan: pipeline.plan,
  };
  return { plan, functions: pipeline.code, definitions: [...pipeline.kinds.values()] };
}
