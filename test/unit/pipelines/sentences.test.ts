import { describe, expect, it } from 'vitest';
import { LONGEST_SENTENCE, SentenceSplitter, sentences } from '../../../pipelines/plan/sentences.js';

/** Each text as its sentences, separated by ` | `. */
const TABLE: Readonly<Record<string, readonly string[]>> = {
  plain: ['It rains. | Take a coat! | Will you?', 'One… | Two', 'No end'],
  abbreviations: [
    'Dr. Smith met Mr. Jones. | They spoke.',
    'Bring fruit, e.g. apples, i.e. red ones. | Thanks.',
    'It starts at 5 p.m. | The doors open at 4 p.m. sharp.',
    'He works at Acme Inc. and she at Foo Ltd. | Both like it.',
    'See Fig. 3 and No. 7. | Then stop.',
    'Bread, milk, etc. | We need more.',
    'Das ist z.B. gut. | Hr. Maier kommt.',
  ],
  initials: ['J. R. R. Tolkien wrote it. | So do I. | Then stop.', 'The U.S. Army came. | It left.'],
  decimals: ['Pi is 3.14159. | It costs $1,000.50 today.', 'Version 2.0.1 is out. | Use it.'],
  lists: ['1. Wash it. | 2. Dry it.', 'Steps: | 1. First one | 2. Second one', '- a point | - another point'],
  addresses: [
    'See https://example.com/a.b?c=d. | It helps.',
    'Mail jo.doe@example.org for more. | Or call.',
    'Open config.json and main.ts. | Save.',
  ],
  quotes: [
    '“Stop!” he said. | “Go now.” | They went.',
    '"Really?" she asked. | "Yes."',
    'He left (at last). | She stayed.',
    '**Note.** | Read this.',
  ],
  ellipses: ['Well... maybe not. | Wait... | Now.'],
  code: ['Run `npm. Test` first. | Then stop.', 'Call `a.b()`. | Done.'],
  cjk: [
    '今天下雨。|带伞吧！|好吗？',
    '他说：“走吧。”|她笑了。',
    '「はい。」|彼は答えた。',
    '비가 온다. | 우산을 써라.',
  ],
  scripts: ['यह एक है। | यह दो है।', 'هل تأتي؟ | نعم.'],
  lines: ['A title | A first line. | And more'],
};

/** The same of what streams alone know, whose rules are later ones than those of plans. */
const STREAMED: Readonly<Record<string, readonly string[]>> = {
  ordinals: [
    'Am 3. Oktober ist frei. | Vom 1. bis 3. Mai auch.',
    'Das 19. Jahrhundert begann 1801. | Im 2. Stock brennt Licht.',
    'Am 3. und 4. Oktober regnet es. | Dann nicht.',
    'Freitag, 3. Oktober, um acht. | Am 3. 10. 2025 auch.',
    'I am 33. | You took 4. | He is in room 3. | Then stop.',
    'Es waren 12. | Dann gingen sie.',
  ],
  titles: [
    'El Sr. García vino. | Estimado Sr. López: gracias.',
    'Habló el Sr. García. | O Sr. Silva também.',
    'He met John Smith Sr. | They spoke.',
    'He met John Smith, Sr. | They spoke.',
    'Parlai con il sig. Rossi. | Ik zag dhr. Jansen en mw. De Vries. | Va bene.',
    'قال د. أحمد نعم. | ثم ذهب عام 2020 م. | انتهى.',
  ],
  'numbers and names': [
    'See p. 12 and art. 5. | Then stop.',
    'Built c. 1850 by a friend. | It stands.',
    'Her plan c. | Then another one.',
    'He lives on 5th Ave. New York is loud. | She left.',
    'Das kostet 5 Euro inkl. Versand. | Max. 5 Personen und max. 3 Hunde. | Gut.',
    'The plant makes 5 MW. | It runs. | Push it to the max. | Then stop.',
    'Vive en EE. UU. desde 1990. | Ama EE. UU. | Son muchos.',
    'He joined AA. | Then he stopped.',
    'Он из г. Москва. | Он родился в 1990 г. | Потом уехал на ул. Ленина, см. с. 7 там.',
  ],
  closers: [
    'It is true.[1] | Next comes this![2][13] | Done.[note] Not here. | End.',
    'Great!😀 | Next one.👨‍👩‍👧‍👦🇩🇪 | Done. | 😀 And so on.',
  ],
  cjk: ['「はい。」と言った。|彼は笑った。', '『行くよ！』って。|「はい。」|彼は答えた。', 'すごい！😀|次。'],
};

/** The same in full-width digits. */
const DECIMALS = '円周率は３．１４です。|値段は２．５倍．|安い。';

const split = (text: string): string[] => text.split(/\s*\|\s*/);
const joined = (name: string, text: string): string =>
  name === 'cjk' && !text.includes(' | ')
    ? text.replaceAll('|', '')
    : text.replaceAll(' | ', name === 'lists' || name === 'lines' ? '\n' : ' ');

function expectStreamed(whole: string, expected: readonly string[]): void {
  for (const size of [1, 2, 3, 7]) {
    const splitter = new SentenceSplitter();
    const pieces: string[] = [];
    for (let at = 0; at < whole.length; at += size) pieces.push(...splitter.push(whole.slice(at, at + size)));
    pieces.push(...splitter.end());
    expect(pieces.join(''), `in parts of ${size}`).toBe(whole);
    expect(pieces.map((piece) => piece.trim())).toEqual(expected);
  }
}

describe('sentences', () => {
  for (const [name, texts] of Object.entries(TABLE)) {
    it.each(texts)(`of ${name}: %s`, (text) => {
      expect(sentences(joined(name, text))).toEqual(split(text));
    });

    it.each(texts)(`of ${name} are the same however the text arrives: %s`, (text) => {
      expectStreamed(joined(name, text), split(text));
    });
  }

  for (const [name, texts] of Object.entries(STREAMED)) {
    it.each([...texts])(`of ${name} of streams, however the text arrives: %s`, (text) => {
      expectStreamed(joined(name, text), split(text));
    });
  }

  it('of streams do not end within a number of full-width digits', () => {
    expectStreamed(DECIMALS.replaceAll('|', ''), split(DECIMALS));
    const splitter = new SentenceSplitter();
    splitter.push('値は３．');
    expect(splitter.settle(), 'more digits may come').toBeUndefined();
    splitter.push('１４です。');
    expect(splitter.settle()).toBe('値は３．１４です。');
  });

  it('of plans stay as they were: other ones would be other commands of a run that is replayed', () => {
    expect(sentences('Am 3. Oktober ist frei.')).toEqual(['Am 3.', 'Oktober ist frei.']);
    expect(sentences('El Sr. García vino.')).toEqual(['El Sr.', 'García vino.']);
    expect(sentences('円周率は３．１４です。')).toEqual(['円周率は３．', '１４です。']);
    expect(sentences('See p. 12.')).toEqual(['See p.', '12.']);
    expect(sentences('「はい。」と言った。')).toEqual(['「はい。」', 'と言った。']);
    expect(sentences('True.[1] Next.')).toEqual(['True.[1] Next.']);
    expect(sentences('Great!😀 Next.')).toEqual(['Great!😀 Next.']);
    const clause = `${'كلمة '.repeat(40)}كلمة،`;
    expect(sentences(`${clause} ${clause}`)[0]).not.toMatch(/،$/);
  });

  it('have none without words', () => {
    expect(sentences('')).toEqual([]);
    expect(sentences(' \n \n')).toEqual([]);
  });

  it('are known as soon as the next word begins, in CJK with the next character', () => {
    const splitter = new SentenceSplitter();
    expect(splitter.push('It rains.')).toEqual([]);
    expect(splitter.push(' ')).toEqual([]);
    expect(splitter.push('T')).toEqual(['It rains.']);
    expect(splitter.push('ake a coat. ')).toEqual([]);
    expect(splitter.settle()).toBe(' Take a coat.');
    const wide = new SentenceSplitter();
    expect(wide.push('下雨。')).toEqual([]);
    expect(wide.push('带')).toEqual(['下雨。']);
  });

  it('are not settled in the middle', () => {
    const splitter = new SentenceSplitter();
    splitter.push('It rains in');
    expect(splitter.settle()).toBeUndefined();
    splitter.push(' town, says Dr.');
    expect(splitter.settle()).toBeUndefined();
    for (const text of ['It is on p.', 'They live in EE.', 'He lives on 5th Ave.', 'Done.[1']) {
      const other = new SentenceSplitter();
      other.push(text);
      expect(other.settle(), text).toBeUndefined();
    }
  });

  it('of streams are cut at clauses of Arabic', () => {
    for (const mark of ['،', '؛']) {
      const splitter = new SentenceSplitter();
      splitter.push(`عندما تمطر في مدينتنا كثيرا${mark} نأخذ معنا`);
      expect(splitter.force()).toBe(`عندما تمطر في مدينتنا كثيرا${mark}`);
    }
  });

  it('are cut at a clause, or between words, when no end comes', () => {
    const splitter = new SentenceSplitter();
    splitter.push('When it rains in our town, take 1,000 coats an');
    expect(splitter.force()).toBe('When it rains in our town,');
    expect(splitter.force()).toBeUndefined();
    splitter.push('d umbrellas and boots');
    expect(splitter.force()).toBe(' take 1,000 coats and umbrellas and ');
    const long = sentences('word '.repeat(400));
    expect(Math.max(...long.map(({ length }) => length))).toBeLessThanOrEqual(LONGEST_SENTENCE);
    expect(long.join(' ')).toBe('word '.repeat(400).trim());
  });

  it.each([
    ['He never knew why she had left it all behind.', 'He never knew why she had left it all '],
    ['He never knew why she had left it “behind', 'He never knew why she had left '],
    ['Je ne sais pas pourquoi elle est partie ?', 'Je ne sais pas pourquoi elle est '],
    ['Je ne sais pas pourquoi elle est partie\u00a0!', 'Je ne sais pas pourquoi elle est '],
    ['The number of those who came was only 5 %', 'The number of those who came was only '],
    ['home/someone/else/projects/millrace', 'home/someone/else/projects/'],
    ['He never knew why she was so well-behaved', 'He never knew why she was so '],
    [
      '彼はなぜ彼女が全てを置いて去ったのかを決して知ることがなかった。',
      '彼はなぜ彼女が全てを置いて去ったのかを決して知ることがなかっ',
    ],
  ])('are not cut before a mark, behind a quotation mark, or within a word with a hyphen: %s', (text, cut) => {
    const splitter = new SentenceSplitter();
    splitter.push(text);
    expect(splitter.force()).toBe(cut);
    expect(splitter.end().join('')).toBe(text.slice(cut.length));
  });

  it('are not cut within an emoji', () => {
    const splitter = new SentenceSplitter();
    const text = `a${'😀'.repeat(500)}`;
    const pieces = [...splitter.push(text), ...splitter.end()];
    expect(pieces.join('')).toBe(text);
    expect(pieces.map(({ length }) => length)).toEqual([397, 398, 206]);
    for (const piece of pieces) expect(piece).not.toMatch(/\p{Cs}/u);
  });

  it.each(['🇩🇪', '👩‍👩‍👧‍👦', '👍🏽'])('are not cut within %s', (emoji) => {
    // Wherever the limit lies in it.
    for (let before = 0; before < emoji.length; before++) {
      const splitter = new SentenceSplitter();
      const text = `${'*'.repeat(before)}${emoji.repeat(200)}`;
      const pieces = [...splitter.push(text), ...splitter.end()];
      expect(pieces.join('')).toBe(text);
      for (const piece of pieces) expect(piece.replaceAll('*', '').replaceAll(emoji, ''), `${before}`).toBe('');
    }
  });

  it('do not leave a mark that comes later alone', () => {
    const splitter = new SentenceSplitter();
    splitter.push('Je ne sais pas pourquoi elle est partie ');
    expect(splitter.force()).toBe('Je ne sais pas pourquoi elle est ');
    expect([...splitter.push('?'), ...splitter.end()]).toEqual(['partie ?']);
    // Too long: its last marks are on both sides of the limit.
    const words = 'word '.repeat(79);
    for (const piece of [...splitter.push(`${words}end ?! And so on.`), ...splitter.end()])
      expect(piece).toMatch(/\p{L}/u);
  });

  it('take linear time', () => {
    const startedAt = performance.now();
    for (const text of [
      '. '.repeat(20_000),
      '`'.repeat(40_000),
      'a. '.repeat(15_000),
      '\n '.repeat(20_000),
      ' '.repeat(40_000),
    ])
      sentences(text);
    expect(performance.now() - startedAt).toBeLessThan(15_000);
  });
});
