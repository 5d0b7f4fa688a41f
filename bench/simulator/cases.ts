import path from 'node:path';
import { TritonClient } from '../../activities/connectors/triton/index.js';
import { writeWav } from '../../media/index.js';
import type { Pipeline } from '../../pipelines/index.js';
import { type Inventory, readInventory } from '../../placement/inventory/index.js';
import { readInt16, readInt32, textTensor } from '../../protocols/open-inference/index.js';
import { type GpuLike, loadGpuLike } from '../gpu-like/index.js';
import type { RunRequest } from './drive.js';
import { gpuLike, voiceAssistant } from './pipelines.js';
import { HOME } from './settings.js';

/** A pipeline of the bench: its requests, and the devices that it runs on. */
export interface Case {
  readonly pipeline: Pipeline;
  readonly request: RunRequest;
  readonly inventory: Inventory;
  readonly deviceKind: string;
  /** Id of each model's device. */
  readonly deviceOf: Readonly<Record<string, string>>;
  /** Concurrent runs that keep every stage busy. */
  readonly inFlight: number;
  /** Runs that show the time of a single run; the first one starts cold and does not count. */
  readonly alone: number;
}

const MAX_BATCH = 4;
/** Milliseconds per batch, several times Temporal's time for a stage, like a model's call; unbalanced on purpose. */
const COSTS = { first: 400, second: 600, third: 300 };

/** The invented models, on three devices, each of which computes one batch at a time. */
export const gpuLikeModels = (folder: string): readonly GpuLike[] =>
  Object.entries(COSTS).map(([name, costMs]) => ({
    name,
    costMs,
    maxBatch: MAX_BATCH,
    devices: [path.join(folder, name)],
  }));

export async function gpuLikeCase(triton: string): Promise<Case> {
  const client = new TritonClient(triton);
  try {
    for (const model of gpuLikeModels(HOME)) await loadGpuLike(client, model);
  } finally {
    client.close();
  }
  const names = Object.keys(COSTS);
  return {
    pipeline: gpuLike as Pipeline,
    request: {
      pipeline: gpuLike.name,
      speaks: false,
      input: (serial) => ({ x: { dtype: 'FP32', shape: [1, 1], data: [serial] } }),
      sizes: () => ({}),
    },
    inventory: readInventory(
      JSON.stringify({
        format: 1,
        nodes: [{ name: 'here', devices: [{ kind: 'gpu-like', count: names.length, memory: '1GiB' }] }],
      }),
    ),
    deviceKind: 'gpu-like',
    deviceOf: Object.fromEntries(names.map((name, i) => [name, `here/${i}`])),
    inFlight: 6 * MAX_BATCH,
    alone: 21,
  };
}

const SUBJECTS = ['France', 'Spain', 'Italy', 'Norway', 'Japan', 'Egypt', 'Peru', 'Canada'];
const QUESTIONS = [
  (subject: string) => `What is the capital of ${subject}?`,
  (subject: string) => `Which language do people speak in ${subject}?`,
  (subject: string) => `What do people like to eat in ${subject} on a cold day in winter?`,
  (subject: string) => `Tell me something about ${subject}.`,
  (subject: string) => `How large is ${subject}?`,
];

/**
 * The voice assistant on one shared device: this machine's processors. `cores`: concurrent calls that do not slow each
 * other.
 */
export async function voiceCase(triton: string, cores: number): Promise<Case> {
  const client = new TritonClient(triton);
  const spoken: { readonly file: File; readonly seconds: number }[] = [];
  try {
    for (const subject of SUBJECTS)
      for (const question of QUESTIONS) spoken.push(await speak(client, question(subject)));
  } finally {
    client.close();
  }
  const of = (serial: number) => spoken[serial % spoken.length] ?? { file: new File([], ''), seconds: 0 };
  return {
    pipeline: voiceAssistant as Pipeline,
    request: {
      pipeline: voiceAssistant.name,
      speaks: true,
      input: (serial) => ({ speech: of(serial).file }),
      sizes(serial, { output, stages = [] }) {
        const { inputTokens = 0, outputTokens = 0 } = stages.find(({ stage }) => stage === 'answer')?.usage ?? {};
        return {
          audio_s: of(serial).seconds,
          tokens_in: inputTokens,
          tokens_out: outputTokens,
          characters: String(output?.transcript).length,
          spoken_characters: String(output?.reply).length,
        };
      },
    },
    inventory: readInventory(
      JSON.stringify({
        format: 1,
        nodes: [{ name: 'here', devices: [{ kind: 'cpu', memory: '8GiB', concurrency: cores }] }],
      }),
    ),
    deviceKind: 'cpu',
    deviceOf: Object.fromEntries(['whisper', 'minilm', 'assistant', 'tts'].map((model) => [model, 'here/0'])),
    inFlight: 4,
    // Of different lengths: fewer of them take equally long.
    alone: 11,
  };
}

/** A spoken question, in the voice of the stack's own model. */
async function speak(client: TritonClient, text: string): Promise<{ readonly file: File; readonly seconds: number }> {
  const outputs = await client.infer('tts', [textTensor('TEXT', [1, 1], text)], AbortSignal.timeout(60_000));
  const [audio, rate] = [outputs.get('AUDIO'), outputs.get('SAMPLE_RATE')];
  if (!audio || !rate) throw new Error('speech synthesis returned no audio');
  const samples = readInt16(audio);
  const [sampleRate = 24_000] = readInt32(rate);
  const file = new File([Buffer.concat([...writeWav(samples, { sampleRate })])], 'q.wav', { type: 'audio/wav' });
  return { file, seconds: samples.length / sampleRate };
}
