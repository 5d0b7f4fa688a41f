/**
 * What agents do with real weights, and what the orchestrator adds to their turns.
 *
 *   npm run bench:agent [-- --json] [-- --many] [-- --questions 12]
 *   npm run bench:agent -- --sessions [--json] [--conversations 4] [--seed 1]
 *   npm run bench:agent -- --against [--json] [--rounds 60]
 *
 * Alone: tool calling, 40 questions over three tools through an agent on Temporal. A small model trained for tool calls
 * (Qwen2.5-Coder-0.5B-Instruct, 4 bits) answers them on the embedded LLM server. Prints the calls of each question, and the shares of
 * the right tool and of valid arguments in the first call.
 * `--questions`: so many of the 40, evenly spread. A model call takes seconds on an idle machine with two processors, and minutes on one that
 * others use too; progress is printed as questions end.
 * `--many`: among 300 tools, of which the model sees the four whose descriptions are nearest to the question.
 * `--sessions`: conversations of 20 turns that exceed the model's context, see `sessions/bench.ts`.
 * `--against`: the time that a turn takes beside the model's, next to OpenAI Agents on Temporal, see `against/bench.ts`.
 */

import { parseOptions } from '../options.js';
import { measureTurns } from './against/bench.js';
import { PROMPTS } from './prompts.js';
import { askQuestions } from './questions.js';
import { converse } from './sessions/bench.js';

const { values: options } = parseOptions({
  options: {
    json: { type: 'boolean', default: false },
    many: { type: 'boolean', default: false },
    questions: { type: 'string', default: String(PROMPTS.length) },
    sessions: { type: 'boolean', default: false },
    conversations: { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
    against: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '60' },
  },
});

function wholeNumber(option: 'questions' | 'conversations' | 'seed' | 'rounds', most: number): number {
  const value = Number(options[option]);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`--${option} must be 1 to ${most}, not "${options[option]}"`);
}

const { json, many } = options;
if (options.sessions)
  await converse({ json, conversations: wholeNumber('conversations', 100), seed: wholeNumber('seed', 2 ** 31) });
else if (options.against) await measureTurns({ json, rounds: wholeNumber('rounds', 10_000) });
else await askQuestions({ json, many, questions: wholeNumber('questions', PROMPTS.length) });
process.exit();
