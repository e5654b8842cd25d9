import torch

from pcan_pose.models.rectification import rectify


def test_equals_a_naive_loop() -> None:
    logits, embeddings, prototypes = torch.randn(3, 4), torch.randn(3, 5), torch.randn(4, 5)
    rectified = rectify(logits, embeddings, prototypes, 2.5)
    for n in range(3):
        for k in range(4):
            cosine = embeddings[n] @ prototypes[k] / (embeddings[n].norm() * prototypes[k].norm())
            torch.testing.assert_close(rectified[n, k], logits[n, k] + 2.5 * cosine)


def test_an_unseen_class_and_an_empty_embedding_add_nothing() -> None:
    logits, embeddings, prototypes = torch.randn(3, 4), torch.randn(3, 5), torch.randn(4, 5)
    prototypes[1] = 0
    embeddings[2] = 0
    rectified = rectify(logits, embeddings, prototypes, 5.0)
    assert torch.equal(rectified[:, 1], logits[:, 1])
    assert torch.equal(rectified[2], logits[2])
    assert rectified.isfinite().all()


def test_weight_zero_is_off() -> None:
    logits = torch.randn(3, 4)
    assert torch.equal(rectify(logits, torch.randn(3, 5), torch.randn(4, 5), 0.0), logits)
