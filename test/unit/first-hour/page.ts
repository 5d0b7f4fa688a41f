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

For authors of their first pipelines: what goes wrong most often, the exact message, and what finds it: the **compiler**; the **load** of the module (by
\`validate\`, \`up\`, worker and gateway); **validate** only, as a warning that the worker also logs; or a **run**. Each message is tested.

A pipeline’s function runs once, when its module is loaded. It receives references, not values: a reference says where a value will
come from in a run. \`console.log\` prints it as \`Ref(answer.text)\`. Build texts with \`\` text\`…\` \`\`, conditions with \`when()\`, \`eq()\`,
\`lt()\`, …, and loops with \`each()\` and \`repeat()\`. Compute anything else in a \`code()\` function, which runs in the worker.

In JavaScript an object cannot detect that it is tested by \`if\`, so \`validate\` and the worker search the sources for that. They follow names within
one file, not through your own helper functions. A file that cannot be parsed is reported as \`NOT_SCANNED\`.

An error in a stage’s function is reported with the file and line of your code: in the worker’s log with the frames of the stack that are yours, in the
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
