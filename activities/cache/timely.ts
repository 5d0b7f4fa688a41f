/** Words of texts whose answer changes by itself: asked again an hour later, they ask for something else. */
const ENGLISH = [
  'today|tonight|tonite|tomorrow|tommorow|tommorrow|yesterday|now|currently|current|latest|newest|recent|recently|right now|at the moment|so far|still|yet',
  'nowadays|presently|lately|these days|at present|up to date|as of|upcoming',
  'this (?:morning|afternoon|evening|minute|hour|week|weekend|month|quarter|year|season|spring|summer|autumn|fall|winter)',
  '(?:last|next|past|coming) (?:night|few|couple|hour|week|weekend|month|quarter|year|season|decade|spring|summer|autumn|fall|winter)',
  '(?:this|last|next|coming) (?:monday|tuesday|wednesday|thursday|friday|saturday|sunday|january|february|march|april|may|june|july|august|september|october|november|december)',
  'in \\d+ (?:minutes?|hours?|days?|weeks?|months?)|in (?:an?|one|two|three|four|five|six|ten|half an|a few|a couple of) (?:minutes?|hours?)|\\d+ (?:minutes?|hours?|days?|weeks?|months?|years?) ago|ago',
  "how (?:long|many (?:seconds|minutes|hours|days|weeks|months|years))(?: [a-z’']{1,20}){0,4} (?:until|till|til|since|left|to go)",
  'what time is it|what time it is|what date|what day is|what (?:month|year|season) is it',
  "(?:what[’']?s|what is|tell me|give me) the (?:exact |local |current )?(?:time|date)(?= (?:in|at|there|here|please)|\\s*[.?!,]|\\s*$)",
  'weather|forecasts?|temperature outside|(?:stock|share) prices?|exchange rates?|prices? of (?:gold|oil|bitcoin|silver)|(?:gold|oil|bitcoin) price|traffic|score of',
  '(?:the|any|top|breaking) news|headlines|how (?:is|are) the (?:stock )?markets?|standings|in stock|sold out|air quality|(?:when|what time) (?:is|does) (?:the )?(?:sunset|sunrise|sun (?:set|rise))',
];

/** The same in other languages whose scripts have words. */
const OTHERS = [
  'heute|heutige[nrs]?|morgen|übermorgen|gestern|vorgestern|jetzt|aktuell|aktuelle[nrs]?|derzeit|momentan|neueste[nrs]?|wetter|wie spät|wie ?viel uhr',
  '(?:diese|nächste|letzte|kommende)[nmrs]? (?:woche|wochenende|monat|jahr|nacht|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag)|vor (?:\\d+|einer|einem|zwei|drei) (?:minuten?|stunden?|tage?n?|wochen?|monate?n?|jahre?n?)',
  'hoy|mañana|ayer|anteayer|anoche|ahora|actual|actualmente|tiempo hace|clima|qué hora|que hora|est[ae] (?:noche|tarde|semana|mes|año)|(?:semana|mes|año) (?:que viene|pasad[ao])|próxim[ao] (?:semana|mes|año)',
  "aujourd['’]hui|demain|hier|avant-hier|après-demain|maintenant|actuel(?:le)?|actuellement|en ce moment|météo|quelle heure|ce (?:soir|matin|mois)|cette (?:semaine|nuit|année)|(?:semaine|mois|année) (?:prochaine?|derni(?:er|ère))|il y a \\d+",
  'oggi|domani|ieri|adesso|stasera|stamattina|che or[ae]|meteo|previsioni|(?:questa|prossima|scorsa) settimana|settimana (?:prossima|scorsa)',
  'hoje|amanhã|ontem|agora|atual|atualmente|que horas|previsão do tempo|(?:esta|próxima) semana|semana passada',
  'vandaag|gisteren|vanavond|hoe laat|(?:deze|volgende|vorige) (?:week|maand)|dzisiaj|dziś|jutro|wczoraj|teraz|pogoda|bugün|yarın|dün|şimdi|hava durumu',
  'сегодня|завтра|вчера|сейчас|погода|который час|сколько времени|(?:этой|следующей|прошлой) неделе|текущий|текущая|текущие|новости',
];

/** Of scripts without spaces between words, or with endings behind them. */
const UNSPACED =
  '今日|明日|昨日|今天|明天|昨天|今晚|昨晚|今夜|昨夜|现在|現在|刚才|目前|最近|今週|来週|先週|本周|这周|下周|上周|今月|来月|先月|本月|这个月|下个月|上个月|今年|明年|去年|来年|最新|天気|天气|几点|幾點|何時|新闻|汇率|股价|ニュース|株価|오늘|내일|어제|지금|현재|날씨|이번 주|다음 주|지난주|몇 시|اليوم|غدا|غدًا|أمس|الآن|الطقس|كم الساعة|هذا الأسبوع|आज|मौसम';

const CHANGING = new RegExp(
  `(?<![\\p{L}\\p{N}_])(?:${[...ENGLISH, ...OTHERS].join('|')})(?![\\p{L}\\p{N}_])|${UNSPACED}`,
  'iu',
);

/** Characters that are looked at, half of them from each end of a text: there the question is. */
const MOST = 16_384;

/** Whether the answer to a text depends on when it is asked. A list of words: it knows the usual ones, not all. */
export function isTimely(text: string): boolean {
  const seen = text.length <= MOST ? text : `${text.slice(0, MOST / 2)}\n${text.slice(-MOST / 2)}`;
  return CHANGING.test(seen.normalize('NFC'));
}
