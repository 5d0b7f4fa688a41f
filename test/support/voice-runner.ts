import type { Backend } from '../../activities/connectors/connector.js';
import type { ModelPools } from '../../activities/stage/serving.js';
import type { StageRunner, StageRunnerParts } from '../../activities/stage/stage-runner.js';
import { type Artifact, artifactUri } from '../../pipelines/artifact.js';
import type { Pipeline } from '../../pipelines/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { sha256Hex } from '../../pipelines/plan/hash.js';
import type { MemoryChannelLog } from '../../stores/channels/index.js';
import { functionRunner } from './run-functions.js';

/** Audio of a text, as a voice stores it: one address for one text. */
export function audioOf(text: string): Artifact {
  const sha256 = sha256Hex(text);
  const about = { mime: 'audio/wav', bytes: 44, durationMs: 1, sampleRate: 24_000, channels: 1 };
  return { uri: artifactUri('default', sha256), sha256, ...about };
}

interface Heard {
  /** Called before the voice makes the audio of a text. */
  readonly speaks?: (text: string) => Promise<void> | void;
}

/** A runner of functions, a voice and a recogniser, which hears what the voice has said. `channels` null: streams are collected. */
export function voiceRunner(of: unknown, channels: MemoryChannelLog | null, { speaks }: Heard = {}): StageRunner {
  const texts = new Map<string, string>();
  const said = (text: string): Artifact => {
    const audio = audioOf(text);
    texts.set(audio.uri, text);
    return audio;
  };
  const invoke: Backend['invoke'] = async ({ kind, input }) => {
    if (kind === 'transcribe') return { output: { text: texts.get((input.audio as unknown as Artifact).uri) ?? '' } };
    const text = String(Array.isArray(input.text) ? input.text.join(' ') : input.text);
    await speaks?.(text);
    return { output: { audio: said(text) as unknown as JsonObject } };
  };
  const pools: ModelPools = {
    get: (model) => ({
      use: (work, { signal }) =>
        work({ invoke } as Backend, { model, kind: '', url: 'scripted', device: 'scripted' } as never, signal),
    }),
  };
  return functionRunner((of as Pipeline).code, channels, {
    pools: pools as StageRunnerParts['pools'],
    ...(channels && {
      streams: {
        channels,
        join: async (_, pieces) => said(pieces.map(({ uri }) => texts.get(uri)).join(' ')),
        convert: async (_, piece) => piece,
      },
    }),
  });
}
