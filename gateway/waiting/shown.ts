import { visibleText } from '../../pipelines/run/index.js';
import type { Asked } from './follow-call.js';

interface Shown {
  readonly subject: string;
  readonly shortened?: true | undefined;
}

/** What a wait is about, for a person: characters that would change how it looks are shown as code points, and a second line says if it is shortened. */
export const shownSubject = ({ subject, shortened }: Shown): string =>
  `${visibleText(subject)}${shortened ? '\nShortened: the whole is too large to be shown here.' : ''}`;

/** Whether the fields of its form are left out: who sees only this can reject it, and not fill in what an approval requires. */
export const lacksForm = ({ question }: Pick<Asked, 'question'>): boolean =>
  question !== undefined && question.schema === undefined && question.url === undefined;
