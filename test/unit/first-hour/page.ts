import { table } from '../../../docs/reference/render.mjs';

/** A row of the guide. */
export interface Row {
  readonly mistake: string;
  /** What finds it: the compiler, the load of the module, `millrace validate`, a run, a door or a command. */
  readonly by: readonly string[];
  readonly says: string;
}

const INTRO = `<!-- Made by test/unit/first-hour/mistakes.test.ts from the table that it tests: npx vitest run -u test/unit/first-hour -->

# Common mistakes

The messages for mistakes of a first hour, and what finds them: the **compiler**, the **load** of the module (\`validate\`, \`up\`,
worker and gateway), **validate** alone (as a warning, also in the worker’s log), or a **run**. Each message is tested.

A pipeline’s function runs once, when its module is loaded. It receives references, not values: a reference says where a value will
come from in a run. \`console.log\` prints it as \`Ref(answer.text)\`. Texts are made with \`\` text\`…\` \`\`, conditions with \`when()\`, \`eq()\`,
\`lt()\`, …, loops with \`each()\` and \`repeat()\`; anything else is computed in a \`code()\` function, which runs in the worker.

JavaScript lets no object refuse to be tested by \`if\`, so \`validate\` and the worker search the sources for it. They follow names within
one file, not through your own helper functions. A file that cannot be parsed is reported as \`NOT_SCANNED\`.

An error in a function of a stage has the file and line of your code: in the worker’s log with your frames of its stack, in the
Temporal UI, and in the run’s document as \`error.at\`. The path is relative to the module of the pipelines. Webhooks, the OpenAI, MCP and
KServe doors, and keys without the permission \`read\` do not get it.
`;

/** In a code span that may contain backticks. */
const code = (text: string): string => (text.includes('`') ? `\`\`${text}\`\`` : `\`${text}\``);

/** The guide page, from the table. */
export function renderMistakes(sections: readonly (readonly [section: string, rows: readonly Row[]])[]): string {
  const bodies = sections.map(([section, rows]) => {
    const lines = rows.map(({ mistake, by, says }) => [mistake, by.join(', '), code(says)]);
    return `## ${section}\n\n${table(['mistake', 'found by', 'message'], lines)}\n`;
  });
  return [INTRO, ...bodies].join('\n');
}
