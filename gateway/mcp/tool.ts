import type { Tool } from '@modelcontextprotocol/server';
import type { Pipeline } from '../../pipelines/definition/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { MediaKind } from '../../pipelines/media.js';
import { type InputForm, inputForm } from '../input/input-form.js';
import { withMedia } from '../openapi/media-schema.js';
import { type ParamHeader, paramHeadersIn } from './param-headers.js';

/** The JSON Schema dialect that MCP assumes by default. */
const DIALECT = 'https://json-schema.org/draft/2020-12/schema';

/** A pipeline as a tool. */
export interface PipelineTool {
  readonly pipeline: Pipeline;
  readonly form: InputForm;
  /** Fields that clients of version 2026-07-28 repeat in headers. */
  readonly headers: readonly ParamHeader[];
  /** Its entry in `tools/list`. */
  readonly tool: Tool;
}

/** The tool name of a pipeline: `voice-assistant` becomes `voice_assistant`, the usual form. */
const toolName = (pipeline: string): string => pipeline.replaceAll('-', '_');

/** Tools by name. Names are unique: pipeline names have no underscores. */
export const toolsOf = (pipelines: readonly Pipeline[]): ReadonlyMap<string, PipelineTool> =>
  new Map(pipelines.map((pipeline) => [toolName(pipeline.name), toolOf(pipeline)]));

function toolOf(pipeline: Pipeline): PipelineTool {
  const { name, description, inputSchema, outputSchema } = pipeline;
  return {
    pipeline,
    form: inputForm(pipeline),
    headers: paramHeadersIn(inputSchema),
    tool: {
      name: toolName(name),
      description: description || `Runs the pipeline ${name}`,
      inputSchema: ofTool(withMedia(inputSchema, mediaInput)),
      outputSchema: ofTool(withMedia(outputSchema, mediaOutput)),
      // Versions with a handshake: a call may be a task. Version 2026-07-28 leaves that to the server.
      execution: { taskSupport: 'optional' },
      _meta: { 'millrace/version': pipeline.plan.version },
    },
  };
}

/** Inputs and outputs of pipelines are objects, as MCP requires. */
const ofTool = (schema: JsonObject) => ({ $schema: DIALECT, ...schema }) as unknown as Tool['inputSchema'];

const NAMES: Readonly<Record<MediaKind, string>> = {
  audio: 'An audio file',
  image: 'An image',
  video: 'A video',
  file: 'A file',
};

/** One object with the alternatives in its description: not every model's tool interface supports `oneOf`. */
const mediaInput = (_: JsonObject, kind: MediaKind): JsonObject => ({
  type: 'object',
  description: `${NAMES[kind]}: its bytes as base64, or the uri of an artifact`,
  properties: {
    base64: { type: 'string', contentEncoding: 'base64' },
    mime: {
      type: 'string',
      description: `With base64: ${kind === 'file' ? '' : kind}/…; the bytes determine the type`,
    },
    uri: { type: 'string', description: 'artifact://<tenant>/<sha256>, from an earlier result' },
  },
  minProperties: 1,
});

const mediaOutput = (_: JsonObject, kind: MediaKind): JsonObject => ({
  type: 'object',
  description: `${NAMES[kind]} by reference; its bytes are at href`,
  properties: {
    uri: { type: 'string' },
    sha256: { type: 'string' },
    mime: { type: 'string' },
    bytes: { type: 'integer' },
    durationMs: { type: 'number' },
    sampleRate: { type: 'integer' },
    channels: { type: 'integer' },
    href: { type: 'string', description: 'Path on this server' },
  },
  required: ['uri', 'mime', 'bytes', 'href'],
});
