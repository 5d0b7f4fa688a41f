import { z } from 'zod';
import { chat, join, media, pipeline, split, text, transcribe, video } from '../index.js';

/** A video: frames with their times, captions of what is said, and a summary of it. */
export const captionedVideo = pipeline(
  'captioned-video',
  {
    description: 'A video to frames, captions with times and a summary of what is said',
    input: z.object({ clip: video() }),
    deadline: '1h',
  },
  ({ input, stage, each }) => {
    const { frames } = stage('frames', media.frames({ every: '5s', most: 12, width: 640 }), { video: input.clip });
    const sound = stage('sound', media.sound(), { video: input.clip });
    // Short enough to be read while it is shown; cut where nobody speaks.
    const { parts } = stage('split', split({ longest: '6s' }), { audio: sound.audio });
    const captions = each(
      'parts',
      parts,
      (part) => {
        const heard = stage('hear', transcribe({ model: 'whisper' }), { audio: part.audio });
        return { startMs: part.startMs, text: heard.text };
      },
      { concurrency: 4 },
    );
    const lines = each('lines', captions, (caption) => caption.text);
    const summary = stage(
      'summary',
      chat({ model: 'assistant', system: 'You summarise videos by what is said in them.', maxTokens: 96 }),
      { prompt: text`Summarise in one or two sentences what is said in this video:\n\n"${join(lines, ' ')}"` },
    );
    return { frames, captions, summary: summary.text };
  },
);
