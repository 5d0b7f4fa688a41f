/** Words of texts whose answer changes by itself: asked again an hour later, they ask for something else. */
const ENGLISH = [
  '(?:today|tonight|tonite|tomorrow|tommorow|tommorrow|yesterday)s?|now|currently|current|latest|newest|recent|recently|right now|at the moment|so far|still|yet',
  'nowadays|presently|lately|these days|at present|up to date|as of|upcoming',
  'this (?:morning|afternoon|evening|minute|hour|week|weekend|month|quarter|year|season|spring|summer|autumn|fall|winter)s?',
  '(?:last|next|past|coming) (?:night|few|couple|hour|week|weekend|month|quarter|year|season|decade|spring|summer|autumn|fall|winter)s?',
  '(?:this|last|next|coming) (?:monday|tuesday|wednesday|thursday|friday|saturday|sunday|january|february|march|april|may|june|july|august|september|october|november|december)s?',
  'in \\d+ (?:minutes?|hours?|days?|weeks?|months?)|in (?:an?|one|two|three|four|five|six|ten|half an|a few|a couple of) (?:minutes?|hours?)|\\d+ (?:minutes?|hours?|days?|weeks?|months?|years?) ago|ago',
  "how (?:long|many (?:seconds|minutes|hours|days|weeks|months|years))(?: [a-z’']{1,20}){0,4} (?:until|till|til|since|left|to go)",
  "how (?:long|many (?:hours|days|weeks|months|sleeps))(?: [a-z’']{1,20}){0,3} (?:to|before) (?:(?:the|my|our|your|next) )?(?:\\d{1,2}(?:st|nd|rd|th)? (?:of )?)?(?:christmas|xmas|easter|new year|halloween|thanksgiving|hanukkah|diwali|ramadan|eid|passover|valentine|black friday|birthday|holidays|weekend|world cup|olympics|elections?|spring|summer|autumn|winter|monday|tuesday|wednesday|thursday|friday|saturday|sunday|january|february|april|june|july|august|september|october|november|december)",
  'what time is it|what time it is|what date|what day is|what (?:month|year|season) is it',
  "(?:what[’']?s|what is|tell me|give me) the (?:exact |local |current )?(?:time|date)(?= (?:in|at|there|here|please)|\\s*[.?!,]|\\s*$)",
  'weather|forecasts?|temperature outside|(?:stock|share) prices?|exchange rates?|prices? of (?:gold|oil|bitcoin|silver)|(?:gold|oil|bitcoin) price|traffic|score of',
  '(?:the|any|top|breaking) news|headlines|how (?:is|are) the (?:stock )?markets?|standings|who(?: is|[’\\u0027]?s| are) winning|trending|any updates?|what(?:[’\\u0027]?s| is) new|in stock|sold out|air quality|is it (?:rain|snow)ing|will it (?:be )?(?:rain|snow)(?:ing)?|(?:the )?next (?:bus|train|tram|flight|ferry|boat|departure|match|game|meeting)|(?:bitcoin|ether|a dollar|a euro|the dollar|the euro|the pound) (?:worth|cost)|(?:bitcoin|euro|dollar|pound) (?:price|rate)|(?:when|what time) (?:is|does) (?:the )?(?:sunset|sunrise|sun (?:set|rise))',
];

/** The same in other languages whose scripts have words; many inflect them. */
const OTHERS = [
  'heute|heutzutage|heutig\\p{L}*|morgen|morgig\\p{L}*|übermorgen|gestern|gestrig\\p{L}*|vorgestern|jetzt|jetzig\\p{L}*|aktuell\\p{L}*|derzeit\\p{L}*|momentan\\p{L}*|neuest\\p{L}*',
  'gerade (?:offen|geöffnet|geschlossen|frei)|im moment|(?:noch|schon) (?:offen|geöffnet|geschlossen|da|frei)|wie viele tage (?:noch )?bis|welche[rns]? (?:tag|datum|jahr|monat) (?:ist|haben wir)|was gibt es neues|dieses jahr|nächste[nrs]? (?:bus|zug|bahn|flug|fähre)|(?<!(?:warum|wieso|weshalb|wo) )regnet es|(?:was kostet|preis von) (?:benzin|gold|strom|bitcoin)|(?:zug|bahn|bus|flug) pünktlich',
  'wetter\\p{L}*|wie spät|wie ?viel uhr|uhrzeit|nachrichten(?! (?:mit|an|per|zwischen|senden|schicken|empfangen|verschlüsseln))|schlagzeilen|(?:wechsel|aktien|börsen)kurse?',
  '(?:diese|nächste|letzte|kommende)[nmrs]? (?:woche|wochenende|monat|jahr|nacht|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|frühling|sommer|herbst|winter)',
  '(?:vor|in) (?:\\d+|einer|einem|zwei|drei) (?:minuten?|stunden?|tage?n?|wochen?|monate?n?|jahre?n?)',
  'hoy|mañana|ayer|anteayer|anoche|ahora|actual|actuales|actualmente|tiempo (?:hace|hará)|clima|pronósticos?|noticias|qué hora|que hora|est[ae] (?:noche|tarde|semana|mes|año|fin de semana)',
  '(?:semana|mes|año) (?:que viene|pasad[ao])|próxim[ao]s?|hace (?:\\d+|una?|dos|tres) (?:minutos?|horas?|días?|semanas?|mes(?:es)?|años?)|tipo de cambio|qué (?:día|fecha) es|que (?:día|fecha) es|(?:todavía|aún|ya|sigue) (?:est[áa]|abiert[oa]|cerrad[oa])|va a llover|hay tráfico|cuántos días (?:faltan|quedan)|(?:el|a cómo está el) (?:precio|dólar|euro) (?:del? oro|hoy|está)|a cómo está|precio del (?:oro|petróleo|bitcoin)',
  "aujourd['’]?hui|demain|hier|avant-hier|après-demain|maintenant|actuel(?:le)?s?|actuellement|en ce moment|récemment|météo|quel temps|quelle heure|ce (?:soir|matin|mois|week-end)|cet après-midi",
  'cette (?:semaine|nuit|année)|(?:semaine|mois|année) (?:prochaine?|derni(?:er|ère))|prochaine?s?|il y a \\d+|dans (?:\\d+|une|deux) (?:minutes?|heures?)|actualités?|dernières (?:nouvelles|infos)|taux de change|quel(?:le)? (?:jour|date) (?:sommes|est|est-on)|quelle est la date(?=\\s*[?.!]|\\s*$)|quoi de neuf|est-(?:ce|il|elle) (?:encore|déjà|toujours) (?:ouvert|fermé|là)e?|combien de jours (?:avant|jusqu)|l[’\\u0027]an (?:dernier|prochain)|ce week-?end|cours (?:du|de l[’\\u0027]) ?(?:bitcoin|or|pétrole|euro|dollar)|pleut-il (?:à|dehors|en)|va-t-il pleuvoir',
  'oggi|domani|ieri|adesso|stasera|stamattina|che or[ae]|che tempo|meteo|previsioni|notizie|attual\\p{L}*|in questo momento|quest[ao] (?:settimana|mese|anno|sera|notte)|prossim[aoie]|scors[aoie]|che giorno|(?:è|sono) (?:ancora|già) (?:apert|chius)[oaie]|piove(?=\\s*\\?)|pioverà|quanti giorni mancano|quanto vale (?:un|il) (?:bitcoin|dollaro|euro|oro)|questa mattina|\\d+ (?:minuti|ore|giorni|settimane|mesi|anni) fa',
  'hoje|amanhã|ontem|agora|atual|atuais|atualmente|neste momento|que horas|previsão do tempo|notícias|est[ae] (?:semana|mês|ano|noite|tarde)|próxim[oa]s?|(?:semana|mês|ano) passad[oa]|que dia é|vai chover|ainda está|quantos dias faltam|cotação|como está o trânsito|há \\d+ (?:minutos?|horas?|dias?|semanas?|meses|anos?)',
  // "weer" is "again" as well, and "nu" is "not" in Romanian.
  'vandaag|gisteren|eergisteren|overmorgen|vanavond|vanmiddag|vanochtend|vannacht|nu(?! (?:este|sunt|are|am|ai|au|pot|poți|poate|știu|stiu|mai|merge|pornește|porneste|funcționează|functioneaza|vreau|vrea|mă|îmi|imi|îl|vor|era)(?!\\p{L}))|momenteel|huidige?|(?:het|wat voor|welk|mooi|slecht|goed|lekker|warm|koud|nat|zonnig|ander) weer|weer (?:in|wordt|is)|weer(?=\\s*[?.!]|\\s*$)|weerbericht|nieuws|hoe laat|welke dag is|(?:nog|al) (?:open|dicht|gesloten|vrij)|volgende (?:bus|trein|tram|vlucht)|hoeveel dagen tot|gaat het regenen|(?<!(?:waarom|waar) )regent het|(?:dit|vorig|volgend|afgelopen) (?:jaar|weekend)|(?:deze|volgende|vorige|komende|afgelopen) (?:week|maand)|\\d+ (?:minuten|uur|dagen|weken|maanden|jaar) geleden',
  'dzisiaj|dziś|dzisiejsz\\p{L}*|jutro|jutrzejsz\\p{L}*|wczoraj\\p{L}*|teraz|obecn\\p{L}*|aktualn\\p{L}*|najnowsz\\p{L}*|pogod\\p{L}*|która godzina|wiadomości|w (?:tym|zeszłym|przyszłym) (?:tygodniu|miesiącu|roku)|która (?:jest |teraz )?godzina|będzie padać|ile dni (?:zostało )?do|kurs (?:euro|dolara|franka|walut|bitcoina)|następn[ya] (?:pociąg|autobus|tramwaj|lot)',
  'bugün\\p{L}*|yarın\\p{L}*|dün(?:kü|den)?|şimdi\\p{L}*|şu an\\p{L}*|güncel\\p{L}*|hava (?:durumu|nasıl)|saat kaç|(?:dolar|euro|avro|altın|bitcoin) (?:kaç|ne kadar)|(?:yağmur|kar) yağ\\p{L}*|kaç gün (?:kaldı|var)|hâlâ|haberler|son dakika|(?:bu|gelecek|geçen) (?:hafta|ay|yıl|gece|akşam|sabah)\\p{L}*',
  'сегодня|сегодняшн\\p{L}*|завтра|завтрашн\\p{L}*|послезавтра|вчера|вчерашн\\p{L}*|позавчера|сейчас|теперь|текущ\\p{L}*|нынешн\\p{L}*|погод\\p{L}*|новост\\p{L}*|который (?:сейчас )?час|будет дождь|(?<!(?:почему|отчего|зачем) )ид[её]т дождь|сколько дней до|курс биткоина|ещ[её] (?:открыт|закрыт)\\p{L}*|следующий (?:поезд|автобус|рейс|трамвай)|сколько времени|курсы? (?:доллара|евро|валют|рубля)',
  '(?:этой|следующей|прошлой) неделе|(?:этом|прошлом|следующем) (?:месяце|году)|сьогодні\\p{L}*|вчора|зараз|котра година',
  'dnes|dneska|dnešn\\p{L}*|zítra|zítřejš\\p{L}*|včera|včerejš\\p{L}*|teď|nyní|aktuáln\\p{L}*|počasí|kolik je hodin|idag|i dag|dagens|kvällens|kveldens|aftenens|veckans|ugens|ukens|imorgon|i morgon|i morgen|igår|i går|just nu|akkurat nå|lige nu|väder\\p{L}*|vädret|vejret|nyheter|nyheder',
  'σήμερα|αύριο|χθες|τώρα|καιρός|τι ώρα|azi|astăzi|astazi|diseară|mâine|acum|vremea|tänään|huomenna|eilen|hari ini|besok|kemarin|sekarang|saat ini|cuaca|terbaru|hôm nay|ngày mai|hôm qua|bây giờ|hiện tại|hiện nay|thời tiết|mấy giờ',
  'आज|आजकल|कल|परसों|अभी|फिलहाल|वर्तमान|मौजूदा|मौसम|समाचार|ताज़ा|ताजा|कितने बजे|बारिश होगी|कितने दिन (?:बचे|बाकी)|का भाव|अगली (?:ट्रेन|बस|उड़ान)|क्या समय|समय क्या|(?:इस|अगले|पिछले) (?:हफ़्ते|हफ्ते|सप्ताह|महीने|साल)',
];

/**
 * Of scripts without spaces between words, or with particles before and endings behind them. Looks around exclude longer words that
 * contain one of these, such as 시작년도 ("first year") and 우주가 ("the universe").
 */
const UNSPACED = [
  '今日|明日|昨日|今天|明天|昨天|今晚|今晩|昨晚|昨晩|今夜|昨夜|今朝|今早|现在|現在|只今|ただいま|今の|今何|刚才|刚刚|剛才|剛剛|さっき|先ほど|目前|当前|當前|最近|今週|来週|先週|本周|这周|這周|下周|上周',
  '(?:这个?|這個?|下个?|下個?|上个?|上個?)(?:星期|月)|今月|来月|先月|本月|今年|明年|去年|来年|前天|(?:后天|後天)(?![性的])|明後日|一昨日|おととい|あさって|きょう[のはも]|きのう[のはも]|あした[のはも]|最新',
  '天気|天气|天氣|气温|氣溫|几点|幾點|何時|新闻|新聞|汇率|匯率|股价|股價|会下雨|會下雨|下雨吗|还有几天|還有幾天|比特币多少|还开着|還開著|ニュース|株価|為替|(?<!なぜ|どうして)雨が降り|あと何日|まだ開い|(?:ビットコイン|ドル|ユーロ)はいくら|先日の',
  '오늘|내일|모레|어제|그저께|지금|현재|방금|최근|요즘|날씨|이번 주|다음 주|지난주|이번 달|다음 달|지난달|올해|내년|(?<!시)작년|몇 시|뉴스|환율|(?<!\\p{L}|왜 )비가 (?:올|와|오(?!는 이유))|며칠 남았|아직 열|다음 (?:기차|버스|비행기|열차)|비트코인 (?:얼마|가격)|(?<![우범제소맥광청충파여영양경\\d])주가',
  'اليوم|الليلة|غدا|غدًا|أمس|البارحة|الآن|حاليا|حاليًا|الحالي|الطقس|كم الساعة|الأخبار|أحدث|هذا (?:الأسبوع|الشهر|العام)|هذه السنة|ستمطر|كم يوم(?:ا|ًا)? بقي|سعر (?:الدولار|اليورو|الذهب|صرف)|(?:ما|لا) (?:زال|يزال) مفتوح|(?:القطار|الباص|الحافلة) القادم|(?:العام|الشهر|السنة) (?:الماضي|القادم|المقبل)ة?|الأسبوع (?:القادم|المقبل|الماضي)|امروز|(?<!\\p{L})فردا(?!\\p{L})|دیروز|اکنون|آب و هوا|ساعت چند',
  'วันนี้|พรุ่งนี้|เมื่อวาน|ตอนนี้|ขณะนี้|ปัจจุบัน|สภาพอากาศ|กี่โมง|ข่าว|(?:היום|מחר|אתמול|עכשיו|כרגע)(?!\\p{L})|מזג האוויר|מה השעה|חדשות',
];

/** A letter, a vowel sign of one, or a digit: where one stands beside a word it is another word. */
const IN_WORD = '[\\p{L}\\p{M}\\p{N}_]';
const CHANGING = new RegExp(
  `(?<!${IN_WORD})(?:${[...ENGLISH, ...OTHERS].join('|')})(?!${IN_WORD})|${UNSPACED.join('|')}`.normalize('NFC'),
  'iu',
);

/** `How many days to Glastonbury`: of a word in small letters it may ask how long something takes. */
const COUNTDOWN =
  /(?<!\p{L})[Hh]ow many (?:days|weeks|months|sleeps)(?: [a-z’']{1,20}){0,3} (?:to|before) (?:the )?\p{Lu}\p{L}/u;

/** Characters that are looked at, half of them from each end of a text: there the question is. */
const MOST = 16_384;

/** Whether the answer to a text depends on when it is asked. A list of words: it knows the usual ones, not all. */
export function isTimely(text: string): boolean {
  const seen = text.length <= MOST ? text : `${text.slice(0, MOST / 2)}\n${text.slice(-MOST / 2)}`;
  const composed = seen.normalize('NFC');
  return CHANGING.test(composed) || COUNTDOWN.test(composed);
}
