import type { LiveAudio } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { heardPieces } from '../../runs/live-audio.js';
import type { ChannelLog, ChannelName } from '../../stores/channels/index.js';

interface Made {
  readonly channels: ChannelLog;
  readonly name: ChannelName;
  readonly tenant: string;
  /** The whole audio when the run has ended. Rejects with the run's failure. */
  readonly ended: Promise<Artifact>;
  /** Aborts when the client has disconnected. */
  readonly signal: AbortSignal;
}

/** Audio of a run while it is made: its pieces, and what they lack from the whole when the run has ended. */
export function audioAsMade({ channels, name, tenant, ended, signal }: Made): LiveAudio {
  const over = new AbortController();
  const end = () => over.abort();
  ended.then(end, end);
  let complete = false;
  async function* pieces(): AsyncGenerator<Artifact, void> {
    const heard = heardPieces(channels, name, { signal, ended: over.signal });
    try {
      let next = await heard.next();
      for (; !next.done; next = await heard.next()) yield next.value.audio;
      complete = next.value;
    } finally {
      await heard.return(false);
    }
  }
  return { tenant, pieces: pieces(), whole: async () => (complete ? undefined : await ended) };
}
