import { afterEach, beforeEach } from 'vitest';
import { z } from 'zod';
import type { GatewayParts } from '../../../../gateway/index.js';
import {
  chatModel,
  embedModel,
  speakModel,
  transcribeModel,
  voiceAssistant,
} from '../../../../pipelines/catalog/index.js';
import { audio, type Pipeline, pipeline, transcribe } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

/** Takes a language, so that it is known. */
const heard = pipeline(
  'heard',
  { input: z.object({ audio: audio(), language: z.string().optional() }) },
  ({ input }) => ({ text: 'So.', audio: input.audio }),
);

/** Returns times. */
const timed = pipeline('timed', { input: z.object({ audio: audio() }) }, ({ input, stage }) => {
  const { text, segments } = stage('transcript', transcribe({ model: 'whisper', segments: 'words' }), input);
  return { text, segments, language: 'en' };
});

/** A gateway of models of other kinds for the tests of a file, whose runs are scripted. */
export function modelsDoor(more: Partial<GatewayParts> = {}) {
  const door = { gateway: undefined as unknown as TestGateway };
  beforeEach(async () => {
    const pipelines = [chatModel, embedModel, speakModel, transcribeModel, voiceAssistant, heard, timed];
    door.gateway = await testGateway(
      {},
      { pipelines: pipelines as unknown as Pipeline[], placementOf: () => ({}), ...more },
    );
  });
  afterEach(() => door.gateway.close());
  const answers = (output: JsonObject) => {
    door.gateway.temporal.onStart = (run) => run.end({ output, stages: [] });
  };
  const post = (url: string, payload: object) =>
    door.gateway.app.inject({ method: 'POST', url: `/v1/${url}`, payload });
  const inputGiven = (): JsonObject => door.gateway.temporal.only().options.args[0];
  return Object.assign(door, { answers, post, inputGiven });
}
