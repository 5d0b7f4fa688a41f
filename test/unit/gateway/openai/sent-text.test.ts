import { describe, expect, it } from 'vitest';
import { SentText } from '../../../../gateway/openai/sent-text.js';

describe('the text that a client has been sent', () => {
  it('is each delta once, over attempts that begin again and cut it in other places', () => {
    const told = new SentText();
    const sent = [told.add('The capi'), told.add('tal')];
    told.begin();
    sent.push(told.add('The'), told.add(' capital of'), told.add(' France'), told.end('The capital of France.'));
    expect(sent).toEqual(['The capi', 'tal', '', ' of', ' France', '.']);
  });

  it('cannot be another one', () => {
    const told = new SentText();
    told.add('Paris');
    told.begin();
    expect(() => told.add('Lyon')).toThrow('after 5 characters');
    expect(() => told.end('Lyon')).toThrow('next attempt differs');
  });

  it('may be shorter in the next attempt as long as it is the same', () => {
    const told = new SentText();
    told.add('Paris is');
    told.begin();
    expect(told.add('Paris')).toBe('');
    expect(() => told.end('Paris')).toThrow('next attempt differs');
  });
});
