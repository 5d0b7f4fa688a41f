import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { visibleText } from '../../pipelines/run/index.js';
import { LONGEST_REASON } from '../rest/decision.js';
import type { AnswerOfRun } from '../waiting/decide-as.js';
import type { Asked } from '../waiting/follow-call.js';
import { lacksForm, shownSubject } from '../waiting/shown.js';

/** A request of the protocol that asks the client's user by a form. */
export interface Elicitation {
  readonly method: 'elicitation/create';
  readonly params: { readonly mode: 'form'; readonly message: string; readonly requestedSchema: JsonObject };
}

/** The client's answer to one. */
export interface Elicited {
  readonly action?: unknown;
  readonly content?: unknown;
}

/** Longest arguments of a call in a message, in UTF-16 units: a wait has no longer ones, but some characters are shown as code points. */
const LONGEST_ARGUMENTS = 16_000;

/**
 * Asks for the decision of a wait; for that on a call of a tool also what else it covers. The form of another server's question is passed on, after
 * a message that names the server. A wait whose form, or whose call’s arguments, cannot be shown whole can only be rejected.
 */
export function formOf(wait: Asked): Elicitation {
  const { call, question, session, until } = wait;
  const { schema } = question ?? {};
  const subject = shownSubject(wait);
  if (schema !== undefined) {
    const message = `${subject}\nDecide before ${until}.`;
    return { method: 'elicitation/create', params: { mode: 'form', message, requestedSchema: schema } };
  }
  if (lacksForm(wait)) return rejection(`${subject}\nIts form is filled in over HTTP`, until);
  const given = call?.arguments === undefined ? undefined : visibleText(JSON.stringify(call.arguments));
  const isShown = given !== undefined && given.length <= LONGEST_ARGUMENTS;
  if (call && !isShown) {
    const about = `${visibleText(call.tool)} (arguments too long to be shown, sha256 ${call.digest})`;
    return rejection(`${subject}\n${about}\nIt is approved over HTTP`, until);
  }
  const about = call === undefined ? '' : `\n${visibleText(call.tool)} ${given}`;
  const confirm = { type: 'boolean', title: 'Approve', description: `Decide before ${until}` };
  const reason = { type: 'string', title: 'Reason', description: REASON, maxLength: LONGEST_REASON };
  const scope = { type: 'string', title: 'Approves', enum: scopesOf(session), default: 'call', description: SCOPE };
  const asked = question === undefined ? 'Approve?' : 'Done?';
  return form(`${asked} ${subject}${about}`, { confirm, reason, ...(call && { scope }) }, ['confirm']);
}

/** Asks about a wait of which the form cannot show all that an approval covers. */
function rejection(message: string, until: string): Elicitation {
  const reject = { type: 'boolean', title: 'Reject', description: `Decide before ${until}` };
  return form(`${message}; here it can only be rejected.`, { [REJECT]: reject });
}

/** Field of a wait that can only be rejected. A question’s form may be back when the answer comes, which is then none to it: no form has such a field. */
const REJECT = 'reject_without_form';
const REASON = 'Optional: why; the model of an agent is told';
const SCOPE = 'this call, or also later calls of this tool: in this run, in its session';
const scopesOf = (session: string | undefined): readonly string[] =>
  session === undefined ? ['call', 'run'] : ['call', 'run', 'session'];

/** What a client's user has decided. */
export type FormDecision = Pick<AnswerOfRun, 'approved' | 'reason' | 'scope' | 'content'>;

/** Whether the answer to a wait is the content of another server's form. */
export const hasForm = ({ question }: Pick<Asked, 'question'>): boolean => question?.schema !== undefined;

/**
 * The decision in an answer. Undefined if the user has made none: the wait stays open. Nobody can mend an answer, so a reason that is too
 * long is cut, and an unknown scope is that of the call.
 * @param isContent the form was another server's: what was filled in answers it
 */
export function decisionIn({ action, content }: Elicited, isContent = false): FormDecision | undefined {
  if (action === 'decline') return { approved: false };
  if (action === 'accept' && isJsonObject(content) && REJECT in content)
    return content[REJECT] === true ? { approved: false } : undefined;
  if (action === 'accept' && isContent) return { approved: true, content: isJsonObject(content) ? content : {} };
  if (action !== 'accept' || !isJsonObject(content as Json)) return undefined;
  const { confirm, reason, scope } = content as JsonObject;
  if (typeof confirm !== 'boolean') return undefined;
  return {
    approved: confirm,
    ...(typeof reason === 'string' && reason !== '' && { reason: reason.slice(0, LONGEST_REASON) }),
    ...(confirm && (scope === 'run' || scope === 'session') && { scope }),
  };
}

/** A form of the protocol. */
export const form = (
  message: string,
  properties: Readonly<Record<string, JsonObject>>,
  required: readonly string[] = Object.keys(properties),
): Elicitation => ({
  method: 'elicitation/create',
  params: {
    mode: 'form',
    message,
    requestedSchema: { type: 'object', properties, required },
  },
});
