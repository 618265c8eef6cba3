"""Generated lyrics: random word sequences, invented words and open vowels, without meaning."""

from __future__ import annotations

import numpy as np

WORDS: dict[str, str] = {
    "en": "love night time heart light dream fire rain alone forever tonight away summer home river falling stars"
    " shadow golden morning baby never always running believe tomorrow remember silver ocean higher wonder calling me"
    " you I we my your the and oh yeah hold on come back let go again slowly window city burning paper street sweet"
    " moon honey wild mountain crying feel know want need give take stay leave turn around down low sky blue eyes hands say",
    "es": "amor noche luna corazón fuego cielo camino siempre nunca mi tu vida mañana quiero bailar conmigo lluvia mar"
    " sol contigo volver alma sueño verde arena despacio canción beso tierra olvidar ojos una la y de esta calle",
    "it": "amore notte luna cuore fuoco cielo strada sempre mai mia tua vita domani voglio ballare con te pioggia mare"
    " sole tornare anima sogno sera lontano canzone bacio terra occhi una la e di questa stella",
    "pt": "amor noite lua coração fogo céu caminho sempre nunca minha vida amanhã quero dançar comigo chuva mar sol"
    " voltar alma sonho verde areia devagar canção beijo terra saudade olhos uma e de esta rua",
    "fr": "amour nuit lune coeur feu ciel chemin toujours jamais ma ta vie demain danser avec moi pluie mer soleil"
    " revenir âme rêve doucement chanson terre oublier les yeux une la et de cette rue bleue étoile",
    "de": "liebe nacht mond herz feuer himmel wege immer niemals mein dein leben morgen tanzen mit mir regen meer"
    " sonne wieder seele traum langsam lied erde augen eine und die sterne strasse leise stille weit",
    "ca": "amor nit lluna cor foc cel camí sempre mai la meva vida demà vull ballar amb tu pluja mar sol tornar somni"
    " verd sorra cançó terra ulls i una aquesta estrella blava",
    "cs": "láska noc měsíc srdce oheň nebe cesta vždycky nikdy můj tvůj život zítra chci tančit s tebou moře slunce duše"
    " sen píseň země oči a tahle ulice hvězda tiše znovu modrá",
    "fi": "rakkaus yö kuu sydän tuli taivas tie aina minun sinun elämä huomenna tanssi kanssani meri aurinko sielu uni"
    " laulu maa silmät ja katu tähti hiljaa uudelleen sininen",
    "ja": "あい よる つき こころ ほし そら みち いつも きみ の ゆめ あした おどる"
    " あめ うみ ひかり かぜ もう いちど うた わたし と まち なみだ",
    "ru": "любовь ночь луна сердце огонь небо дорога всегда моя твоя жизнь завтра танцуй со мной море солнце душа"
    " сон песня земля глаза и эта улица звезда тихо снова",
}
ONSETS = "b d f g h k l m n p r s t v z br dr fl gr kl pl pr sh st tr l m n r s y w"
VOWELS = "a e i o u a o e ai au oo ee"
CODAS = ["", "", "", "", "", "n", "m", "l", "r", "s", "t"]
FILLERS = "la na da oh yeah hey ah mm doo ba whoa ooh hoo ay"
OPEN_VOWELS = ["aah", "oooh", "ohh", "eeh", "ahh oooh", "maah", "naah", "loooh", "yeah", "hmm mmah"]


def made_up_word(rng: np.random.Generator) -> str:
    """An invented word of one to three syllables."""
    onsets, vowels = ONSETS.split(), VOWELS.split()
    syllables = (
        onsets[rng.integers(len(onsets))] + vowels[rng.integers(len(vowels))] + CODAS[rng.integers(len(CODAS))]
        for _ in range(rng.integers(1, 4))
    )
    return "".join(syllables)


def line(language: str, rng: np.random.Generator) -> str:
    """A line of four to nine words in `language` (a BCP 47 tag); invented words for languages without a word list."""
    words = WORDS.get(language.split("-")[0], "").split()
    if language.split("-")[0] not in ("ja", "ru") and rng.random() < 0.12:
        words = FILLERS.split()
    count = int(rng.integers(4, 10))
    if not words:
        return " ".join(made_up_word(rng) for _ in range(count))
    return " ".join(words[rng.integers(len(words))] for _ in range(count))


def vowels(rng: np.random.Generator) -> str:
    """Open vowels for a choir: "ooh" and "aah"."""
    return " ".join(OPEN_VOWELS[rng.integers(len(OPEN_VOWELS))] for _ in range(3))
