import { MillraceError } from '../../../pipelines/errors.js';
import type { Constraint } from '../../../pipelines/stages/index.js';
import type { ServerSoftware } from './options.js';

/**
 * Members of a request that constrain the reply's text, as each server names them. Throws `CAPABILITY_MISSING` for a
 * server that cannot: sent to it, the constraint would be ignored.
 */
export function constrained(constraint: Constraint, software: ServerSoftware): Record<string, unknown> {
  switch (software) {
    case 'vllm':
      return { structured_outputs: constraint };
    case 'sglang':
      if ('choice' in constraint) return { regex: constraint.choice.map(escaped).join('|') };
      return 'regex' in constraint ? { regex: constraint.regex } : { ebnf: constraint.grammar };
    case 'llama.cpp':
      if ('choice' in constraint) return { grammar: `root ::= ${constraint.choice.map(quoted).join(' | ')}` };
      if ('grammar' in constraint) return { grammar: constraint.grammar };
      throw missing('a regular expression', 'llama.cpp');
    case 'triton':
    case 'other':
      throw missing(`"${Object.keys(constraint)[0]}"`, 'this server');
  }
}

/**
 * Throws `CAPABILITY_MISSING` for a reply of JSON at Triton's OpenAI frontend, which drops `response_format`
 * (github.com/triton-inference-server/server, python/openai, `_create_vllm_generate_request`).
 */
export function expectFormats(software: ServerSoftware): void {
  if (software !== 'triton') return;
  const message =
    'Triton’s OpenAI frontend ignores the form of a reply; offer a tool and set toolChoice to its name, which binds its arguments';
  throw new MillraceError('CAPABILITY_MISSING', message);
}

/** A literal of a regular expression. */
const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** A literal of GBNF, llama.cpp's grammar language, whose escapes are those of JSON. */
const quoted = (text: string): string => JSON.stringify(text);

/** The text, if it is one of the choices. Throws `INVALID_OUTPUT`: some servers ignore the constraint. */
export function requireChoice(text: string, constraint: Constraint | undefined): void {
  if (constraint === undefined || !('choice' in constraint) || constraint.choice.includes(text)) return;
  throw new MillraceError(
    'INVALID_OUTPUT',
    `the reply is none of the choices ${constraint.choice.join(', ')}: ${JSON.stringify(text.slice(0, 80))}`,
  );
}

const missing = (what: string, server: string) =>
  new MillraceError(
    'CAPABILITY_MISSING',
    `${server} cannot constrain a reply by ${what}; serve the model with vLLM or SGLang, and set the pool’s \`server\` if it stands behind a router`,
  );
