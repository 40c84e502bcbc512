-- Whether an address is suppressed for some mail, and by what: the answer of a check, in
-- SQL. `recipient` is an address or a recipient_hash; an address that was erased is found by
-- its hash alone. An empty stream, list or source is any, then every entry counts;
-- `transactional` is 1 for the streams of suppression.transactional_streams.
--
--     SELECT * FROM suppressed_for(recipient = 'ana@example.com', stream = 'marketing', list = '', source = '', transactional = 0)
--
-- No row: it may be sent. Else one row, with the entry that a check names: the hardest
-- reason; of one reason that of the address before its domain, what is above it, and the
-- mailbox provider; then the widest scope. The arrays are services/internal/mailbox/domains.yaml.
-- Cost: suppression_log by recipient_hash, or, of an address, whole.
CREATE VIEW IF NOT EXISTS suppressed_for {{on_cluster}}
AS WITH
    lower(trimBoth({recipient:String})) AS asked,
    position(asked, '@') = 0 AS by_hash,
    substring(asked, 1, length(asked) - position(reverse(asked), '@')) AS local,
    substring(asked, length(local) + 2) AS given_domain,
    if(given_domain = 'googlemail.com', 'gmail.com', given_domain) AS domain,
    if(domain = 'gmail.com', [concat(local, '@gmail.com'), concat(local, '@googlemail.com')], [concat(local, '@', domain)]) AS spellings,
    splitByChar('.', domain) AS labels,
    arrayMap(i -> concat('*@*.', arrayStringConcat(arraySlice(labels, i), '.')), range(2, greatest(length(labels), 2))) AS above,
    substring(domain, position(domain, '.') + 1) AS ending,
    transform(domain, [
        'gmail.com', 'googlemail.com', 'google.com', 'hotmail.com', 'outlook.com', 'live.com', 'msn.com', 'passport.com', 'windowslive.com',
        'yahoo.com', 'ymail.com', 'rocketmail.com', 'myyahoo.com', 'aol.com', 'aim.com', 'netscape.net', 'verizon.net', 'wow.com', 'games.com',
        'love.com', 'compuserve.com', 'cs.com', 'frontier.com', 'frontiernet.net', 'cox.net', 'att.net', 'sbcglobal.net', 'bellsouth.net',
        'pacbell.net', 'ameritech.net', 'swbell.net', 'flash.net', 'prodigy.net', 'snet.net', 'nvbell.net', 'currently.com', 'sky.com', 'rogers.com',
        'y7mail.com', 'yahoo.co.jp', 'ymail.ne.jp', 'btinternet.com', 'btopenworld.com', 'talk21.com', 'icloud.com', 'me.com', 'mac.com', 'gmx.de',
        'gmx.net', 'gmx.com', 'gmx.at', 'gmx.ch', 'gmx.org', 'gmx.info', 'gmx.biz', 'caramail.com', 'caramail.fr', 'web.de', 'email.de', 'mail.com',
        'email.com', 'usa.com', 'consultant.com', 'europe.com', 'engineer.com', 'post.com', 'myself.com', 'asia.com', 'dr.com', 'doctor.com',
        'lawyer.com', 'accountant.com', 'techie.com', 'iname.com', 'writeme.com', 'workmail.com', 't-online.de', 'magenta.de', '1und1.de',
        'online.de', 'onlinehome.de', 'freenet.de', 'vodafone.de', 'vodafonemail.de', 'arcor.de', 'kabelmail.de', 'unitybox.de', 'posteo.de',
        'posteo.net', 'mailbox.org', 'tuta.com', 'tuta.io', 'tutanota.com', 'tutanota.de', 'tutamail.com', 'keemail.me', 'comcast.net',
        'xfinity.com', 'charter.net', 'spectrum.net', 'roadrunner.com', 'twc.com', 'rr.com', 'tampabay.rr.com', 'cfl.rr.com', 'nc.rr.com',
        'carolina.rr.com', 'triad.rr.com', 'nycap.rr.com', 'twcny.rr.com', 'austin.rr.com', 'satx.rr.com', 'tx.rr.com', 'san.rr.com', 'socal.rr.com',
        'ca.rr.com', 'wi.rr.com', 'columbus.rr.com', 'cinci.rr.com', 'neo.rr.com', 'woh.rr.com', 'kc.rr.com', 'hawaii.rr.com', 'maine.rr.com',
        'brighthouse.com', 'orange.fr', 'wanadoo.fr', 'voila.fr', 'free.fr', 'aliceadsl.fr', 'libertysurf.fr', 'freesbee.fr', 'infonie.fr',
        'worldonline.fr', 'sfr.fr', 'neuf.fr', 'club-internet.fr', 'cegetel.net', 'numericable.fr', 'numericable.com', 'noos.fr', '9online.fr',
        'bbox.fr', 'laposte.net', 'libero.it', 'inwind.it', 'iol.it', 'blu.it', 'giallo.it', 'virgilio.it', 'tim.it', 'alice.it', 'tin.it',
        'tiscali.it', 'fastwebnet.it', 'mail.ru', 'inbox.ru', 'list.ru', 'bk.ru', 'internet.ru', 'vk.com', 'yandex.ru', 'yandex.com', 'ya.ru',
        'narod.ru', 'ukr.net', 'rambler.ru', 'lenta.ru', 'autorambler.ru', 'myrambler.ru', 'ro.ru', 'proton.me', 'protonmail.com', 'protonmail.ch',
        'pm.me', 'fastmail.com', 'fastmail.fm', 'fastmail.net', 'fastmail.us', 'fastmail.co.uk', 'fastmail.com.au', 'sent.com', 'zoho.com',
        'zoho.eu', 'zoho.in', 'zohomail.com', 'zohomail.eu', 'zohomail.in', 'qq.com', 'vip.qq.com', 'foxmail.com', '163.com', '126.com', 'yeah.net',
        'vip.163.com', 'vip.126.com', '188.com', 'vip.188.com', 'netease.com', 'sina.com', 'sina.cn', 'sina.com.cn', 'vip.sina.com', 'sohu.com',
        'vip.sohu.com', 'aliyun.com', '139.com', '189.cn', 'naver.com', 'daum.net', 'hanmail.net', 'kakao.com', 'nate.com', 'docomo.ne.jp',
        'ezweb.ne.jp', 'au.com', 'softbank.ne.jp', 'i.softbank.jp', 'vodafone.ne.jp', 'rediffmail.com', 'seznam.cz', 'email.cz', 'post.cz',
        'spoluzaci.cz', 'centrum.cz', 'atlas.cz', 'centrum.sk', 'onet.pl', 'op.pl', 'onet.eu', 'vp.pl', 'onet.com.pl', 'vip.onet.pl',
        'poczta.onet.pl', 'poczta.onet.eu', 'spoko.pl', 'autograf.pl', 'amorki.pl', 'buziaczek.pl', 'wp.pl', 'o2.pl', 'tlen.pl', 'go2.pl',
        'interia.pl', 'interia.eu', 'interia.com', 'poczta.fm', 'uol.com.br', 'bol.com.br', 'terra.com.br', 'ziggo.nl', 'home.nl', 'upcmail.nl',
        'chello.nl', 'casema.nl', 'quicknet.nl', 'kpnmail.nl', 'kpnplanet.nl', 'planet.nl', 'hetnet.nl', 'xs4all.nl', 'telfort.nl', 'telenet.be',
        'pandora.be', 'skynet.be', 'proximus.be', 'belgacom.net', 'scarlet.be', 'voo.be', 'bluewin.ch', 'telia.com', 'virginmedia.com',
        'ntlworld.com', 'blueyonder.co.uk', 'virgin.net', 'talktalk.net', 'tiscali.co.uk', 'lineone.net', 'plus.com', 'plus.net', 'bigpond.com',
        'bigpond.net.au', 'optusnet.com.au', 'shaw.ca', 'bell.net', 'sympatico.ca', 'telus.net', 'videotron.ca', 'optonline.net', 'optimum.net',
        'suddenlink.net', 'centurylink.net', 'centurytel.net', 'embarqmail.com', 'q.com', 'windstream.net', 'earthlink.net', 'mindspring.com',
        'juno.com', 'netzero.net', 'netzero.com', 'xtra.co.nz', 'sapo.pt', 'abv.bg', 'freemail.hu'
    ], [
        'google', 'google', 'google', 'microsoft', 'microsoft', 'microsoft', 'microsoft', 'microsoft', 'microsoft', 'yahoo', 'yahoo', 'yahoo',
        'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo',
        'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo', 'yahoo.co.jp', 'yahoo.co.jp',
        'bt', 'bt', 'bt', 'apple', 'apple', 'apple', 'gmx', 'gmx', 'gmx', 'gmx', 'gmx', 'gmx', 'gmx', 'gmx', 'gmx', 'gmx', 'web.de', 'web.de',
        'mail.com', 'mail.com', 'mail.com', 'mail.com', 'mail.com', 'mail.com', 'mail.com', 'mail.com', 'mail.com', 'mail.com', 'mail.com',
        'mail.com', 'mail.com', 'mail.com', 'mail.com', 'mail.com', 'mail.com', 't-online', 't-online', 'ionos', 'ionos', 'ionos', 'freenet',
        'vodafone', 'vodafone', 'vodafone', 'vodafone', 'vodafone', 'posteo', 'posteo', 'mailbox.org', 'tuta', 'tuta', 'tuta', 'tuta', 'tuta',
        'tuta', 'comcast', 'comcast', 'charter', 'charter', 'charter', 'charter', 'charter', 'charter', 'charter', 'charter', 'charter', 'charter',
        'charter', 'charter', 'charter', 'charter', 'charter', 'charter', 'charter', 'charter', 'charter', 'charter', 'charter', 'charter',
        'charter', 'charter', 'charter', 'charter', 'charter', 'orange', 'orange', 'orange', 'free', 'free', 'free', 'free', 'free', 'free', 'sfr',
        'sfr', 'sfr', 'sfr', 'sfr', 'sfr', 'sfr', 'sfr', 'bouygues', 'laposte', 'libero', 'libero', 'libero', 'libero', 'libero', 'virgilio', 'tim',
        'tim', 'tim', 'tiscali', 'fastweb', 'mail.ru', 'mail.ru', 'mail.ru', 'mail.ru', 'mail.ru', 'mail.ru', 'yandex', 'yandex', 'yandex', 'yandex',
        'ukr.net', 'rambler', 'rambler', 'rambler', 'rambler', 'rambler', 'proton', 'proton', 'proton', 'proton', 'fastmail', 'fastmail', 'fastmail',
        'fastmail', 'fastmail', 'fastmail', 'fastmail', 'zoho', 'zoho', 'zoho', 'zoho', 'zoho', 'zoho', 'qq', 'qq', 'qq', 'netease', 'netease',
        'netease', 'netease', 'netease', 'netease', 'netease', 'netease', 'sina', 'sina', 'sina', 'sina', 'sohu', 'sohu', 'aliyun', 'chinamobile',
        'chinatelecom', 'naver', 'daum', 'daum', 'daum', 'nate', 'docomo', 'au', 'au', 'softbank', 'softbank', 'softbank', 'rediff', 'seznam',
        'seznam', 'seznam', 'seznam', 'centrum', 'centrum', 'centrum', 'onet', 'onet', 'onet', 'onet', 'onet', 'onet', 'onet', 'onet', 'onet',
        'onet', 'onet', 'onet', 'wp', 'wp', 'wp', 'wp', 'interia', 'interia', 'interia', 'interia', 'uol', 'uol', 'terra', 'ziggo', 'ziggo', 'ziggo',
        'ziggo', 'ziggo', 'ziggo', 'kpn', 'kpn', 'kpn', 'kpn', 'kpn', 'kpn', 'telenet', 'telenet', 'proximus', 'proximus', 'proximus', 'proximus',
        'voo', 'bluewin', 'telia', 'virginmedia', 'virginmedia', 'virginmedia', 'virginmedia', 'talktalk', 'talktalk', 'talktalk', 'plusnet',
        'plusnet', 'telstra', 'telstra', 'optus', 'shaw', 'bell', 'bell', 'telus', 'videotron', 'altice', 'altice', 'altice', 'centurylink',
        'centurylink', 'centurylink', 'centurylink', 'windstream', 'earthlink', 'earthlink', 'juno', 'juno', 'juno', 'xtra', 'sapo', 'abv',
        'freemail.hu'
    ], if(match(ending, '^([a-z]{2}|com?[.][a-z]{2})$'), transform(labels[1], ['yahoo', 'aol', 'ymail', 'rocketmail', 'hotmail', 'live', 'outlook', 'gmx', 'yandex'], ['yahoo', 'yahoo', 'yahoo', 'yahoo', 'microsoft', 'microsoft', 'microsoft', 'gmx', 'yandex'], ''), '')) AS mailbox,
    if(by_hash, [], arrayConcat([concat('*@', domain)], above, if(mailbox = '', [], [concat('mailbox_provider:', mailbox)]))) AS patterns,
    if(length({stream:String}) <= 254, {stream:String}, concat('sha256-', lower(hex(SHA256({stream:String}))))) AS of_stream,
    if(length({list:String}) <= 254, {list:String}, concat('sha256-', lower(hex(SHA256({list:String}))))) AS of_list,
    if(length({source:String}) <= 254, {source:String}, concat('sha256-', lower(hex(SHA256({source:String}))))) AS of_source,
    {transactional:UInt8} = 1 AS must_arrive
SELECT
    recipient_hash, address AS matched, scope, reason, since, expires_at, evidence, provider, source, note
FROM suppressions
WHERE active
    AND (recipient_hash = asked OR (NOT by_hash AND (has(spellings, address) OR has(patterns, address))))
    AND multiIf(
        scope = 'account', NOT must_arrive OR reason != 'unsubscribe',
        startsWith(scope, 'stream:'), of_stream = '' OR substring(scope, 8) = of_stream,
        startsWith(scope, 'source:'), (of_source = '' OR substring(scope, 8) = of_source) AND (NOT must_arrive OR reason != 'unsubscribe'),
        startsWith(scope, 'list:'), if(must_arrive AND (of_list = '' OR reason = 'unsubscribe'), 0, of_list = '' OR substring(scope, 6) = of_list),
        1)
ORDER BY
    indexOf(['complaint', 'hard_bounce', 'manual', 'unsubscribe', 'provider_suppressed', 'soft_bounce'], reason),
    indexOf(patterns, address), scope
LIMIT 1;
