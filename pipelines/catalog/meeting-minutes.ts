import { z } from 'zod';
import { audio, chat, join, pipeline, split, text, transcribe } from '../index.js';

/** A long recording: split into parts, which are transcribed and summarised in parallel; the notes become minutes. */
export const meetingMinutes = pipeline(
  'meeting-minutes',
  {
    description: 'A long recording to a transcript and minutes',
    input: z.object({ recording: audio() }),
    deadline: '2h',
  },
  ({ input, stage, each }) => {
    const { parts } = stage('split', split({ longest: '30s' }), { audio: input.recording });
    const notes = each(
      'parts',
      parts,
      (part) => {
        const transcribed = stage('transcribe', transcribe({ model: 'whisper' }), { audio: part.audio });
        const note = stage(
          'note',
          chat({ model: 'assistant', system: 'You summarise meetings.', maxTokens: 48 }),
          // On a long text a small model forgets the task of the system message: the task is given with the text.
          {
            prompt: text`Summarise in one short sentence what was said in this part of a meeting:\n\n"${transcribed.text}"`,
          },
        );
        return { startMs: part.startMs, transcript: transcribed.text, note: note.text };
      },
      { concurrency: 4 },
    );
    const transcript = join(
      each('transcripts', notes, (part) => part.transcript),
      ' ',
    );
    const minutes = stage(
      'minutes',
      chat({ model: 'assistant', system: 'Write the minutes of a meeting from these notes.', maxTokens: 192 }),
      {
        prompt: text`- ${join(
          each('lines', notes, (part) => part.note),
          '\n- ',
        )}`,
      },
    );
    return { transcript, notes, minutes: minutes.text };
  },
);
