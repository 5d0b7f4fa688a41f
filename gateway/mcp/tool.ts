import type { Tool } from '@modelcontextprotocol/sdk/types.js';
import type { Pipeline } from '../../pipelines/definition/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { MediaKind } from '../../pipelines/media.js';
import { type InputForm, inputForm } from '../input/input-form.js';
import { withMedia } from '../openapi/media-schema.js';

/** The dialect that MCP expects where none is named. */
const DIALECT = 'https://json-schema.org/draft/2020-12/schema';

/** A pipeline as a tool. */
export interface PipelineTool {
  readonly pipeline: Pipeline;
  readonly form: InputForm;
  /** As `tools/list` shows it. */
  readonly tool: Tool;
}

/** The name of a pipeline's tool: `voice-assistant` is `voice_assistant`, as most tools are written. */
const toolName = (pipeline: string): string => pipeline.replaceAll('-', '_');

/** Tools by name. No two pipelines share one: their names have no underscores. */
export const toolsOf = (pipelines: readonly Pipeline[]): ReadonlyMap<string, PipelineTool> =>
  new Map(pipelines.map((pipeline) => [toolName(pipeline.name), toolOf(pipeline)]));

function toolOf(pipeline: Pipeline): PipelineTool {
  const { name, description, inputSchema, outputSchema } = pipeline;
  return {
    pipeline,
    form: inputForm(pipeline),
    tool: {
      name: toolName(name),
      description: description || `Runs the pipeline ${name}`,
      inputSchema: ofTool(withMedia(inputSchema, mediaInput)),
      outputSchema: ofTool(withMedia(outputSchema, mediaOutput)),
      _meta: { 'millrace/version': pipeline.plan.version },
    },
  };
}

/** Inputs and outputs of pipelines are objects, as the protocol wants. */
const ofTool = (schema: JsonObject) => ({ $schema: DIALECT, ...schema }) as unknown as Tool['inputSchema'];

/** One object with the choice in words: not every model's tool interface takes `oneOf`. */
const mediaInput = (_: JsonObject, kind: MediaKind): JsonObject => ({
  type: 'object',
  description: `${kind === 'audio' ? 'An audio file' : 'An image'}: its bytes as base64, or the uri of an artifact`,
  properties: {
    base64: { type: 'string', contentEncoding: 'base64' },
    mime: { type: 'string', description: `With base64: ${kind}/…; the bytes decide` },
    uri: { type: 'string', description: 'artifact://<tenant>/<sha256>, from an earlier result' },
  },
  minProperties: 1,
});

const mediaOutput = (_: JsonObject, kind: MediaKind): JsonObject => ({
  type: 'object',
  description: `${kind === 'audio' ? 'An audio file' : 'An image'} by reference; its bytes are at href`,
  properties: {
    uri: { type: 'string' },
    sha256: { type: 'string' },
    mime: { type: 'string' },
    bytes: { type: 'integer' },
    durationMs: { type: 'number' },
    sampleRate: { type: 'integer' },
    channels: { type: 'integer' },
    href: { type: 'string', description: 'Path at this server' },
  },
  required: ['uri', 'mime', 'bytes', 'href'],
});
