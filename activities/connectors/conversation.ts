import { z } from 'zod';
import { MillraceError } from '../../pipelines/errors.js';

/** `{content}` stands for a turn's text; `start` begins the reply. */
const turn = z.string().max(4_096).includes('{content}', 'must contain {content}');

/** How a conversation becomes one text, for models that take text alone. */
export const promptTemplate = z.union([
  z.enum(['plain', 'chatml']),
  z.strictObject({ system: turn, user: turn, assistant: turn, start: z.string().max(4_096) }),
]);
export type PromptTemplate = z.output<typeof promptTemplate>;

export interface Turn {
  readonly role: string;
  readonly content: string;
  readonly parts?: readonly unknown[];
}

/** What a `chat` stage gives: its options, replaced by the call's own input. */
export interface Conversation {
  readonly prompt?: string;
  readonly system?: string;
  readonly history?: readonly Turn[];
  readonly images?: readonly unknown[];
  readonly parts?: readonly unknown[];
  readonly tools?: readonly unknown[];
  readonly schema?: unknown;
  readonly output?: unknown;
}

/** Throws `CAPABILITY_MISSING` for what goes beyond text. */
export function refuseMore({ tools = [], images = [], parts = [], history = [], schema, output }: Conversation): void {
  const more = [...parts, ...history.flatMap((said) => said.parts ?? [])];
  const shown = images.length > 0 ? 'images' : more.length > 0 ? 'parts of messages' : undefined;
  const wrong = tools.length > 0 ? 'tools' : (shown ?? (schema || output ? 'a bound reply' : undefined));
  if (wrong === undefined) return;
  const message = `${wrong} cannot be sent to a model that takes text alone: name a pool of a server of OpenAI's API`;
  throw new MillraceError('CAPABILITY_MISSING', message);
}

/** The system message, the history and the prompt, in this order. */
export const turnsOf = ({ system, history = [], prompt }: Conversation): readonly Turn[] => [
  ...(system === undefined ? [] : [{ role: 'system', content: system }]),
  ...history,
  ...(prompt === undefined ? [] : [{ role: 'user', content: prompt }]),
];

const CHATML: Exclude<PromptTemplate, string> = {
  system: '<|im_start|>system\n{content}<|im_end|>\n',
  user: '<|im_start|>user\n{content}<|im_end|>\n',
  assistant: '<|im_start|>assistant\n{content}<|im_end|>\n',
  start: '<|im_start|>assistant\n',
};
/** For models without a template: a prompt alone is sent as it is. */
const PLAIN: Exclude<PromptTemplate, string> = {
  system: '{content}\n\n',
  user: 'User: {content}\n',
  assistant: 'Assistant: {content}\n',
  start: 'Assistant:',
};

/** Signs by which models tell the parts of a conversation, as their tokenizers read them anywhere in a text. */
const SIGNS = /<\|[^<>|\s]{1,64}\|>|<\/?s>|\[\/?INST\]|<<\/?SYS>>|<(?:start|end)_of_turn>/g;

/** A text in which no sign of the template stands: it could end its turn and go on as another role. */
function withoutSigns(content: string, { system, user, assistant, start }: Exclude<PromptTemplate, string>): string {
  const signs = new Set([system, user, assistant, start].join('\n').match(SIGNS));
  let text = content;
  for (const sign of signs) text = text.split(sign).join(`${sign.slice(0, 1)} ${sign.slice(1)}`);
  return text;
}

/** The conversation as one text. Signs of the template in what is said are parted by a space. */
export function promptOf(conversation: Conversation, template: PromptTemplate): string {
  const turns = turnsOf(conversation);
  const [only] = turns;
  if (template === 'plain' && turns.length === 1 && only?.role === 'user') return only.content;
  const forms = template === 'plain' ? PLAIN : template === 'chatml' ? CHATML : template;
  const said = turns.map(({ role, content }) => {
    const form = role === 'assistant' ? forms.assistant : role === 'system' ? forms.system : forms.user;
    // Not `replace`: in a text, `$&` means something there.
    return form.split('{content}').join(withoutSigns(content, forms));
  });
  return said.join('') + forms.start;
}
