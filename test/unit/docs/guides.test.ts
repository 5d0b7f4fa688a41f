import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const read = (file: string) => readFileSync(fileURLToPath(new URL(`../../../${file}`, import.meta.url)), 'utf8');

/** The entries of the package by the files that they are made of. */
const ENTRIES = [
  ['pipelines/index.js', 'millrace'],
  ['activities/connectors/public/index.js', 'millrace/connector'],
  ['testing/index.js', 'millrace/testing'],
  ['workers/server.js', 'millrace/server'],
] as const;

/** A file of the tests as it is in a project that uses the package. */
function asShown(file: string): string {
  let source = read(file);
  for (const [path, entry] of ENTRIES) {
    source = source.replaceAll(new RegExp(`'(\\.\\./)+${path.replaceAll('.', '\\.')}'`, 'g'), `'${entry}'`);
  }
  return source.replaceAll(/'(?:\.\.\/)+support\/acme\//g, "'./").trim();
}

it.each([
  ['guides/write-a-connector', '// keywords.ts\n', 'test/support/acme/keywords.ts'],
  ['guides/write-a-connector', '// connector.ts\n', 'test/support/acme/connector.ts'],
  ['guides/write-a-connector', '// pipelines.ts\n', 'test/support/acme/pipelines.ts'],
  ['guides/write-a-connector', '// connector.test.ts\n', 'test/unit/activities/connectors/contract/acme.test.ts'],
  ['guides/testing', '', 'test/unit/testing/guide.test.ts'],
  ['reference/artifacts', '// bucket-store.ts\n', 'test/support/acme/bucket-store.ts'],
])('docs/%s.md shows a file that the tests run: %s%s', (page, name, file) => {
  expect(read(`docs/${page}.md`)).toContain(`\`\`\`ts\n${name}${asShown(file)}\n\`\`\``);
});
