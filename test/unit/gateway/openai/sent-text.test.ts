import { describe, expect, it } from 'vitest';
import { SentText } from '../../../../gateway/openai/sent-text.js';

describe('the text that a client has been sent', () => {
  it('is each delta once, over attempts that begin again and cut it in other places', () => {
    const sentText = new SentText();
    const sent = [sentText.add('The capi'), sentText.add('tal')];
    sentText.begin();
    sent.push(
      sentText.add('The'),
      sentText.add(' capital of'),
      sentText.add(' France'),
      sentText.end('The capital of France.'),
    );
    expect(sent).toEqual(['The capi', 'tal', '', ' of', ' France', '.']);
  });

  it('cannot be another one', () => {
    const sentText = new SentText();
    sentText.add('Paris');
    sentText.begin();
    expect(() => sentText.add('Lyon')).toThrow('after 5 characters');
    expect(() => sentText.end('Lyon')).toThrow('next attempt differs');
  });

  it('may be shorter in the next attempt as long as it is the same', () => {
    const sentText = new SentText();
    sentText.add('Paris is');
    sentText.begin();
    expect(sentText.add('Paris')).toBe('');
    expect(() => sentText.end('Paris')).toThrow('next attempt differs');
  });

  it('differs from the whole without another attempt where its server has changed it', () => {
    const sentText = new SentText();
    sentText.begin();
    sentText.add('Lyon');
    expect(() => sentText.end('Paris')).toThrow('the whole text differs from the 4 characters of it that were sent');
  });

  it('that differs is sent no further to a client that gets the whole at the end', () => {
    const sentText = new SentText(true);
    const sent = [sentText.add('Paris is')];
    sentText.begin();
    sent.push(sentText.add('Lyon'), sentText.add('Paris is'), sentText.add(' warm'), sentText.end('Lyon is warm.'));
    expect(sent.join('')).toBe('Paris is');
  });
});
