import { describe, expect, it } from 'vitest';
import { isTimely } from '../../../../activities/cache/timely.js';
import { fastest } from '../../../support/fastest.js';

describe('a text', () => {
  it.each([
    'What is the weather in Rome?',
    'Who is the current champion?',
    'What did he do 3 days ago?',
    'Wie wird das Wetter morgen?',
    '今日の天気は？',
    "Quel temps fait-il aujourd'hui ?",
    "What's the time?",
    'What is the date, please?',
    'What is the time in Tokyo?',
    'Do you open next Friday?',
    'Is the bank closed this monday?',
    'Does the bus leave in an hour?',
    'How many days until Christmas?',
    'How long is it since he left?',
    'What is on tommorow?',
    'What are the stock prices of Apple?',
    'What are the headlines?',
    'Wie spät ist es?',
    'Was läuft nächste Woche?',
    'Quelle heure est-il ?',
    '¿Qué hora es?',
    'Che tempo fa domani?',
    'Qual é a previsão do tempo?',
    'Какая сегодня погода?',
    '지금 몇 시예요?',
    '現在几点？',
    'Wie wird der Wetterbericht?',
    'Wie ist die Uhrzeit?',
    'Was sind die gestrigen Zahlen?',
    '¿Cuáles son las noticias?',
    '¿Qué tiempo hará?',
    'Quelles sont les dernières nouvelles ?',
    'Che tempo fa?',
    'Quais são as notícias?',
    'Wat is het nieuws?',
    'Jaka jest dzisiejsza data?',
    'Opowiedz o pogodzie w Warszawie',
    'Bugünkü döviz kuru ne?',
    'Saat kaç?',
    'Какой сегодняшний курс?',
    'Расскажи о погоде в Москве',
    'Яка сьогоднішня дата?',
    '今晩の予定は？',
    '今朝の温度は？',
    '今天天氣怎麼樣？',
    '後天天氣如何？',
    '환율이 얼마예요?',
    'ما هي أحدث الأخبار؟',
    'कल मौसम कैसा रहेगा?',
    'अभी कितने बजे हैं?',
    'Cuaca hari ini bagaimana?',
    'Thời tiết thế nào?',
    'อากาศวันนี้เป็นอย่างไร',
    'מה השעה?',
  ])('asks of the time: %s', (text) => {
    expect(isTimely(text)).toBe(true);
  });
  it.each([
    'What is the capital of France?',
    'How do I know a knowing nod?',
    'Who painted Snowdon?',
    'What is the time complexity of quicksort?',
    'What is the date of the battle of Hastings?',
    'How long is the Nile?',
    'How can I lose 3 kg in a month?',
    'How does the stock market work?',
    'What is a sunset?',
    'Is the newspaper free?',
    'Who was the last king of Scotland?',
    'In which year was it built?',
    'Was ist die Hauptstadt von Frankreich?',
    '¿Cuál es la capital de Francia?',
    'Quelle est la capitale de la France ?',
    'Qual è la capitale della Francia?',
    'Jaka jest stolica Francji?',
    'Dünyanın en yüksek dağı hangisi?',
    'Какая столица Франции?',
    'フランスの首都はどこですか？',
    '法国的首都是哪里？',
    '프랑스의 수도는 어디예요?',
    'ما هي عاصمة فرنسا؟',
    'विकल्प क्या है और कलम कहाँ है?',
    'Thủ đô của Pháp là gì?',
  ])('asks of no time: %s', (text) => {
    expect(isTimely(text)).toBe(false);
  });
  it('looks at both ends of a long text, at once', () => {
    const long = 'a word '.repeat(100_000);
    expect(isTimely(`${long}today?`)).toBe(true);
    expect(isTimely(`Today: ${long}`)).toBe(true);
    expect(fastest(() => isTimely(long), 2)).toBeLessThan(500);
  });
});
