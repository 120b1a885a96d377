"""Tokenizers of the kinds that no package carries a file of, trained here on the words of others: every normalizer,
pre-tokenizer, template and flag that src/embed reads stands in one of them."""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def trained(tokenizer: Tokenizer, texts: list[str], **settings: object) -> Tokenizer:
    kind = type(tokenizer.model).__name__
    trainer = (trainers.UnigramTrainer if kind == "Unigram" else trainers.BpeTrainer)(
        show_progress=False, **{"vocab_size": 3000, **settings}
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def unigram_multilingual(texts: list[str]) -> Tokenizer:
    """As XLM-R and multilingual E5."""
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()]
    )
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    trained(t, texts, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>")
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return t


def unigram_words(texts: list[str]) -> Tokenizer:
    """As ALBERT, with accents stripped; digits one by one."""
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence(
        [normalizers.Replace("``", '"'), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Metaspace()]
    )
    trained(t, texts, special_tokens=["<unk>", "[CLS]", "[SEP]"], unk_token="<unk>")
    t.add_tokens([AddedToken("camelCase", single_word=True), AddedToken("Don't", rstrip=True, lstrip=True)])
    t.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return t


def bpe_roberta(texts: list[str]) -> Tokenizer:
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trained(t, texts, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], initial_alphabet=alphabet)
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return t


def bpe_split(texts: list[str], pattern: str) -> Tokenizer:
    """As Llama 3 and its like: words in the vocabulary are not merged anew."""
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trained(t, texts, special_tokens=["<|begin|>", "<|end|>"], initial_alphabet=alphabet)
    t.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single="<|begin|> $A", pair="$A $B", special_tokens=[("<|begin|>", 0)]),
        ]
    )
    return t


def bpe_llama(texts: list[str]) -> Tokenizer:
    """As Llama 2: no pre-tokenizer, bytes for what the vocabulary lacks."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trained(t, ["▁" + text.replace(" ", "▁") for text in texts[:400]], special_tokens=["<unk>", "<s>", "</s>", *BYTES])
    t.decoder = decoders.ByteFallback()
    return t


def bpe_suffix(texts: list[str]) -> Tokenizer:
    """As CLIP: lower case, the end of a word marked, no bytes, so much is unknown."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False, end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.Strip(right=False)])
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.Digits()]
    )
    trained(t, texts, special_tokens=["<unk>"], end_of_word_suffix="</w>")
    t.add_tokens([AddedToken("FOO_bar", normalized=True), AddedToken("!!!", single_word=True, normalized=False)])
    return t


def bpe_prefix(texts: list[str]) -> Tokenizer:
    """Behind BERT's normalizer, with a mark before all but the first piece of a word."""
    t = Tokenizer(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##"))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return trained(t, texts, special_tokens=["[UNK]"], continuing_subword_prefix="##")


def unigram_pieces(texts: list[str]) -> Tokenizer:
    """Cuts of every behavior; the vocabulary is of bytes as characters."""
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.BertNormalizer(strip_accents=False), normalizers.ByteLevel()])
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d+?|Ġ+"), "merged_with_previous"),
            pre_tokenizers.Split("e", "merged_with_next"),
            pre_tokenizers.Split(Regex("[^(aeiou|[.,!])]+"), "removed", invert=True),
            pre_tokenizers.Punctuation("merged_with_previous"),
        ]
    )
    return trained(t, texts, special_tokens=["<unk>"], unk_token="<unk>")


def write(folder: Path, texts: list[str]) -> list[Path]:
    """All of them; every file also asks for padding and truncation, which hither leaves aside."""
    made = {
        "unigram-multilingual": unigram_multilingual(texts),
        "unigram-words": unigram_words(texts),
        "unigram-pieces": unigram_pieces(texts),
        "bpe-roberta": bpe_roberta(texts),
        "bpe-llama3": bpe_split(texts, LLAMA3),
        "bpe-o200k": bpe_split(texts, O200K),
        "bpe-llama2": bpe_llama(texts),
        "bpe-suffix": bpe_suffix(texts),
        "bpe-prefix": bpe_prefix(texts),
    }
    paths = []
    for name, tokenizer in made.items():
        tokenizer.enable_padding(length=128)
        tokenizer.enable_truncation(9)
        path = folder / f"{name}.json"
        tokenizer.save(str(path))
        paths.append(path)
    return paths
