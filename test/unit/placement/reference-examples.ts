import { read } from '../../support/pages.js';

/** In the order in which a placement is made. */
const PAGES = ['objectives', 'search', 'inventory', 'profiles', 'load', 'documents', 'apply', 'auto'];
const TEXT = PAGES.map((name) => read(`docs/reference/placement/${name}.md`)).join('\n');

/** The code blocks of docs/reference/placement/ in a language, in order. */
export const examples = (language: string): readonly string[] =>
  [...TEXT.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text = '']) => text);
