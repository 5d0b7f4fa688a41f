import { z } from 'zod';
import { agent, audio, pipeline, synthesize, tool, transcribe } from '../index.js';

const time = tool({
  name: 'get_time',
  version: '1',
  description: 'The date and the time of day in a time zone, now',
  input: z.object({ timezone: z.string().describe('IANA name, for example Europe/Lisbon') }),
  run: ({ timezone }) => {
    try {
      return new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'short', timeZone: timezone }).format();
    } catch {
      throw Object.assign(new Error(`"${timezone}" is no time zone`), { code: 'INVALID_INPUT' });
    }
  },
});

const OPERATORS: Readonly<Record<string, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
};

const calculate = tool({
  name: 'calculate',
  version: '1',
  description: 'Adds, subtracts, multiplies or divides two numbers',
  input: z.object({ a: z.number(), operator: z.enum(['add', 'subtract', 'multiply', 'divide']), b: z.number() }),
  run: ({ a, operator, b }) => {
    const result = OPERATORS[operator]?.(a, b) ?? Number.NaN;
    if (Number.isFinite(result)) return { result };
    throw Object.assign(new Error(`${a} ${operator} ${b} has no value`), { code: 'INVALID_INPUT' });
  },
});

const METRES: Readonly<Record<string, number>> = { metre: 1, kilometre: 1000, mile: 1609.344, foot: 0.3048 };

const convert = tool({
  name: 'convert_length',
  version: '1',
  description: 'Converts a length from one unit into another',
  input: z.object({
    value: z.number(),
    from: z.enum(['metre', 'kilometre', 'mile', 'foot']),
    to: z.enum(['metre', 'kilometre', 'mile', 'foot']),
  }),
  run: ({ value, from, to }) => ({ value: (value * (METRES[from] ?? 1)) / (METRES[to] ?? 1), unit: to }),
});

/** A spoken question, answered out loud by an agent that can tell the time, calculate and convert. */
export const voiceAgent = pipeline(
  'voice-agent',
  {
    description: 'A spoken question, answered out loud by an agent with three tools',
    input: z.object({ speech: audio() }),
    deadline: '5m',
  },
  ({ input, stage }) => {
    const transcribed = stage('transcribe', transcribe({ model: 'whisper' }), { audio: input.speech });
    const answer = stage(
      'answer',
      agent({
        model: 'assistant',
        instructions: 'Answer in one short sentence that can be read out loud. Use the tools where they help.',
        tools: [time, calculate, convert],
        maxTurns: 4,
        maxTokens: 96,
      }),
      { prompt: transcribed.text },
    );
    // What it says before it calls a tool is spoken while the tool works.
    const spoken = stage('speak', synthesize({ model: 'tts' }), { text: answer.said.sentences });
    return { question: transcribed.text, reply: answer.text, toolCalls: answer.toolCalls, speech: spoken.audio };
  },
);
