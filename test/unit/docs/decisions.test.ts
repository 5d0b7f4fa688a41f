import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const FOLDER = fileURLToPath(new URL('../../../docs/decisions/', import.meta.url));
const read = (name: string) => readFileSync(`${FOLDER}${name}`, 'utf8');

it('the index of decisions has each record once, by number, with its title, a status and a date', () => {
  const records = readdirSync(FOLDER).filter((name) => /^\d{4}-/.test(name));
  const titles = records.map((name) => {
    const [, number, title] = /^# (\d{4}) (.+)$/m.exec(read(name)) ?? [];
    expect(name.startsWith(`${number}-`), name).toBe(true);
    return [name, title];
  });
  const rows = [...read('README.md').matchAll(/^\| (\d{4}) \| \[(.+?)\]\(([^)]+)\)\s+\| (\S.*?)\s+\| (\S+)\s+\|$/gm)];
  expect(rows.map(([, , title, name]) => [name, title])).toEqual(titles);
  for (const [, number, , name = '', status, date] of rows) {
    expect(name.startsWith(`${number}-`)).toBe(true);
    expect(status).toMatch(/^(accepted|replaced)/);
    expect(date).toMatch(/^\d{4}-\d{2}-\d{2}$/);
  }
});
