/**
 * Writes the thesaurus of the verifier from the files of WordNet 3.1 and the vocabulary of the embedder, which is
 * in the order of frequency (`tokenizer.json` of all-MiniLM-L6-v2).
 *
 *   npm run bench:cache -- thesaurus --wordnet FOLDER --vocabulary FILE
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

const FILE = 'activities/cache/verifier/thesaurus-data.ts';
/** Senses of a word beyond these are too rare to count. */
const MOST_SENSES = 8;
/** A sense is usual if it is the first of its part of speech, or has this share of the word's uses. */
const USUAL = 0.1;
/** Words behind this rank are seldom asked about. */
const MOST_RANK = 24_000;

const PARTS: Readonly<Record<string, string>> = { 1: 'noun', 2: 'verb', 3: 'adj', 4: 'adv', 5: 'adj' };
const LETTER: Readonly<Record<string, string>> = { noun: 'n', verb: 'v', adj: 'a', adv: 'r' };

const PARTS_BY_LETTER: Readonly<Record<string, string>> = { n: 'noun', v: 'verb', a: 'adj', s: 'adj', r: 'adv' };

interface Sense {
  readonly synset: string;
  readonly part: string;
  readonly number: number;
  readonly uses: number;
}

const tokenizer = z.object({ model: z.object({ vocab: z.record(z.string(), z.number()) }) });

/** Whole words of a vocabulary of word pieces with their ranks. */
function ranksOf(file: string): Map<string, number> {
  const { vocab } = tokenizer.parse(JSON.parse(readFileSync(file, 'utf8'))).model;
  const words = Object.entries(vocab)
    .filter(([word]) => /^[a-z]{2,}$/.test(word))
    .sort(([, a], [, b]) => a - b)
    .slice(0, MOST_RANK);
  return new Map(words.map(([word], rank) => [word, rank + 1]));
}

const linesOf = (folder: string, file: string): string[] => readFileSync(path.join(folder, file), 'utf8').split('\n');

function sensesOf(folder: string, ranks: ReadonlyMap<string, number>): Map<string, Sense[]> {
  const senses = new Map<string, Sense[]>();
  for (const line of linesOf(folder, 'index.sense')) {
    const [key = '', offset = '', number = '', uses = ''] = line.split(' ');
    const [word = '', rest = ''] = key.split('%');
    const part = PARTS[rest.charAt(0)];
    if (!ranks.has(word) || part === undefined) continue;
    const sense = { synset: `${part}${offset}`, part, number: Number(number), uses: Number(uses) };
    if (sense.number <= MOST_SENSES) senses.set(word, [...(senses.get(word) ?? []), sense]);
  }
  return senses;
}

/** What each synset is a kind of. */
function parentsOf(folder: string): Map<string, string[]> {
  const parents = new Map<string, string[]>();
  for (const part of ['noun', 'verb'])
    for (const line of linesOf(folder, `data.${part}`)) {
      if (!/^\d{8} /.test(line)) continue;
      const of = [...line.matchAll(/ @i? (\d{8}) ([nv])/g)].map(([, offset]) => `${part}${offset}`);
      parents.set(`${part}${line.slice(0, 8)}`, of);
    }
  return parents;
}

/** The opposites of words, in any of their meanings. */
function oppositesOf(folder: string): Map<string, Set<string>> {
  const words = new Map<string, string[]>();
  const pairs: [from: string, at: number, to: string, toAt: number][] = [];
  for (const part of Object.keys(LETTER))
    for (const line of linesOf(folder, `data.${part}`)) {
      if (!/^\d{8} /.test(line)) continue;
      const fields = (line.split(' |')[0] ?? '').split(' ');
      const synset = `${part}${fields[0]}`;
      const most = Number.parseInt(fields[3] ?? '0', 16);
      words.set(
        synset,
        Array.from({ length: most }, (_, i) => (fields[4 + 2 * i] ?? '').toLowerCase().replace(/\(\w+\)$/, '')),
      );
      for (const [, offset = '', letter = '', from = '', to = ''] of line.matchAll(
        / ! (\d{8}) ([nvasr]) (\w\w)(\w\w)/g,
      )) {
        const other = PARTS_BY_LETTER[letter] ?? '';
        pairs.push([synset, Number.parseInt(from, 16), `${other}${offset}`, Number.parseInt(to, 16)]);
      }
    }
  const opposites = new Map<string, Set<string>>();
  for (const [from, at, to, toAt] of pairs) {
    const [word, other] = [words.get(from)?.[at - 1], words.get(to)?.[toAt - 1]];
    if (word !== undefined && other !== undefined) opposites.set(word, (opposites.get(word) ?? new Set()).add(other));
  }
  return opposites;
}

/** @returns the number of words and of bytes */
export function makeThesaurus(wordnet: string, vocabulary: string): { words: number; bytes: number } {
  const ranks = ranksOf(vocabulary);
  const senses = sensesOf(wordnet, ranks);
  const parents = parentsOf(wordnet);
  const opposites = oppositesOf(wordnet);
  const rows = [...senses].map(([word, all]) => {
    const uses = all.reduce((sum, sense) => sum + sense.uses, 0);
    const isUsual = (sense: Sense) => sense.number === 1 || sense.uses >= Math.max(1, USUAL * uses);
    const usual = all.filter(isUsual);
    const main = all.reduce((best, sense) => (sense.uses > best.uses ? sense : best));
    return {
      word,
      rank: ranks.get(word) ?? 0,
      part: LETTER[main.part] ?? 'n',
      usual: [...new Set(usual.map(({ synset }) => synset))],
      rare: [...new Set(all.filter((sense) => !isUsual(sense)).map(({ synset }) => synset))],
      kinds: [...new Set(usual.flatMap(({ synset }) => parents.get(synset) ?? []))],
    };
  });
  // A synset or a parent that only one word has relates it to no other.
  const holders = new Map<string, number>();
  for (const { usual, rare, kinds } of rows)
    for (const synset of new Set([...usual, ...rare, ...kinds])) holders.set(synset, (holders.get(synset) ?? 0) + 1);
  const numbers = new Map<string, string>();
  const numberOf = (synset: string): string => {
    const known = numbers.get(synset) ?? numbers.size.toString(36);
    numbers.set(synset, known);
    return known;
  };
  const list = (synsets: readonly string[]): string =>
    synsets
      .filter((synset) => (holders.get(synset) ?? 0) > 1)
      .map(numberOf)
      .join(',');
  const text = rows
    .sort((a, b) => a.rank - b.rank)
    .map(({ word, rank, part, usual, rare, kinds }) =>
      [
        word,
        Math.round(8 * Math.log2(rank + 1)).toString(36),
        part,
        list(usual),
        list(rare),
        list(kinds),
        [...(opposites.get(word) ?? [])].filter((other) => ranks.has(other)).join(','),
      ].join(':'),
    )
    .join(' ');
  writeFileSync(FILE, source(text));
  return { words: rows.length, bytes: text.length };
}

/** Minifiers keep comments that begin with `/*!`: the licence asks for its notice on all copies. */
const source = (rows: string): string => `/*!
 * Written by \`npm run bench:cache -- thesaurus\` from WordNet 3.1 and the vocabulary of all-MiniLM-L6-v2 (Apache-2.0). Not to be
 * edited. A row is word, rank (eight times its binary logarithm), part of speech, usual synsets, rare ones, what the usual
 * ones are kinds of, and opposites; numbers are to base 36.
 *
 * This software and database is being provided to you, the LICENSEE, by Princeton University under the following license. By
 * obtaining, using and/or copying this software and database, you agree that you have read, understood, and will comply with
 * these terms and conditions. Permission to use, copy, modify and distribute this software and database and its documentation for
 * any purpose and without fee or royalty is hereby granted, provided that you agree to comply with the following copyright notice
 * and statements, including the disclaimer, and that the same appear on ALL copies of the software, database and documentation,
 * including modifications that you make for internal use or for distribution. WordNet 3.1 Copyright 2011 by Princeton University. All rights reserved.
 * THIS SOFTWARE AND DATABASE IS PROVIDED "AS IS" AND PRINCETON UNIVERSITY MAKES NO REPRESENTATIONS OR WARRANTIES,
 * EXPRESS OR IMPLIED. BY WAY OF EXAMPLE, BUT NOT LIMITATION, PRINCETON UNIVERSITY MAKES NO REPRESENTATIONS OR WARRANTIES OF
 * MERCHANTABILITY OR FITNESS FOR ANY PARTICULAR PURPOSE OR THAT THE USE OF THE LICENSED SOFTWARE, DATABASE OR DOCUMENTATION WILL
 * NOT INFRINGE ANY THIRD PARTY PATENTS, COPYRIGHTS, TRADEMARKS OR OTHER RIGHTS. The name of Princeton University or Princeton may
 * not be used in advertising or publicity pertaining to distribution of the software and/or database. Title to copyright in this
 * software, database and any associated documentation shall at all times remain with Princeton University and LICENSEE agrees
 * to preserve same.
 */
export const ROWS =
  '${rows}';
`;
