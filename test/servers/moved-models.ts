import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { blocksOf, read } from '../support/pages.js';

const PAGE = 'docs/reference/servers/moving.md';

/** The models files of the page, by the title of their section. */
export function modelsFiles(): ReadonlyMap<string, string> {
  const lines = read(PAGE).split('\n');
  const titleAt = (line: number) => lines.slice(0, line).findLast((each) => each.startsWith('## ')) ?? '';
  return new Map(blocksOf(PAGE, 'json').map(({ line, text }) => [titleAt(line).replace('## ', ''), text]));
}

type Models = Readonly<Record<string, { readonly endpoints: readonly { readonly url: string }[] }>>;

/** Writes a models file of the page with the address at which a server listens here; addresses that settings give stay. */
export function writeModels(folder: string, title: string, url: string): string {
  const text = modelsFiles().get(title);
  if (text === undefined) throw new Error(`${PAGE} has no models file for ${title}`);
  const models = Object.entries(JSON.parse(text) as Models).map(([name, pool]) => {
    const endpoints = pool.endpoints.map((each) => ({ ...each, url: each.url.startsWith('${') ? each.url : url }));
    return [name, { ...pool, endpoints }];
  });
  const file = path.join(folder, `${title}.json`);
  writeFileSync(file, JSON.stringify(Object.fromEntries(models)));
  return file;
}
