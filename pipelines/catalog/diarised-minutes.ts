import { z } from 'zod';
import { audio, chat, code, detect, join, MillraceError, pipeline, text, transcribe } from '../index.js';
import { partsFor, speakersOf, transcriptOf, turnsOf } from './speaker-turns.js';

const seconds = { start: z.number(), end: z.number() };
const segment = z.object({
  ...seconds,
  text: z.string(),
  words: z.array(z.object({ ...seconds, text: z.string() })).optional(),
});
const detection = z.object({
  label: z.string(),
  span: z.object({ startMs: z.number(), endMs: z.number() }).optional(),
});
/** In the form of a `transcribe` stage's segments. */
const turn = z.object({ ...seconds, speaker: z.string().optional(), text: z.string() });

/** Characters of the transcript that the model summarises at a time, some two minutes: a small one loses more. */
const MOST_OF_A_PART = 2_000;

const joined = code(
  'speaker-turns',
  {
    // Times are absent where a server reports none.
    input: z.object({ segments: z.array(segment).nullish(), heard: z.array(detection) }),
    output: z.object({
      turns: z.array(turn),
      speakers: z.array(z.object({ speaker: z.string(), seconds: z.number() })),
      transcript: z.string(),
      parts: z.array(z.string()),
    }),
  },
  ({ segments, heard }) => {
    if (!segments) throw new MillraceError('CAPABILITY_MISSING', 'the transcript has no segments with times');
    const turns = turnsOf(segments, heard);
    if (turns.length === 0) {
      const message = 'no speech was found in the recording';
      throw new MillraceError('INVALID_INPUT', message, { fields: [{ field: 'recording', message }] });
    }
    return {
      turns,
      speakers: speakersOf(heard),
      transcript: transcriptOf(turns),
      parts: partsFor(turns, MOST_OF_A_PART),
    };
  },
);

/** The recording of a meeting: who spoke when, joined with what is said; its parts become notes, and these the minutes. */
export const diarisedMinutes = pipeline(
  'diarised-minutes',
  {
    description: 'The recording of a meeting to a transcript with speakers, and minutes',
    input: z.object({ recording: audio() }),
    deadline: '2h',
  },
  ({ input, stage, each }) => {
    const { detections } = stage(
      'speakers',
      detect({ model: 'speakers' }),
      { audio: input.recording },
      // The whole recording is one call: voices are compared over all of it.
      { timeout: { attempt: '15m', total: '30m' } },
    );
    const transcribed = stage(
      'transcribe',
      transcribe({ model: 'whisper', segments: 'words' }),
      { audio: input.recording },
      { timeout: { attempt: '30m', total: '1h' } },
    );
    const said = stage('turns', joined, { segments: transcribed.segments, heard: detections });
    const notes = each(
      'parts',
      said.parts,
      (part) =>
        stage('note', chat({ model: 'assistant', system: 'You summarise meetings.', maxTokens: 64 }), {
          prompt: text`Summarise in one or two short sentences who said what in this part of a meeting:\n\n${part}`,
        }).text,
      { concurrency: 4 },
    );
    const minutes = stage(
      'minutes',
      chat({ model: 'assistant', system: 'Write the minutes of a meeting from these notes.', maxTokens: 192 }),
      { prompt: text`- ${join(notes, '\n- ')}` },
    );
    return {
      speakers: said.speakers,
      turns: said.turns,
      transcript: said.transcript,
      notes,
      minutes: minutes.text,
    };
  },
);
